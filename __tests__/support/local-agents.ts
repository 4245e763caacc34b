import { type ChildProcess, spawn } from "node:child_process";
import { CommandFailed } from "../../scripts/emulator/command-failed";
import { type InstantGuest, instantMachines } from "../../scripts/emulator/instant-machines";
import type { AwsOfMachines, Machines } from "../../scripts/emulator/machines";
import { startImds } from "./imds";

/**
 * Instant machines on which Systems Manager's agent runs what it is sent: as a process of this machine, with a metadata
 * service that tells it that it is the instance, and that ends with it.
 */
export function instantMachinesWithAgents(aws: AwsOfMachines, region: string, guest: InstantGuest): Machines {
  const machines = instantMachines(aws, guest);
  return {
    ...machines,
    start: async (instance) => {
      const machine = await machines.start(instance);
      const children = new Set<ChildProcess>();
      const imds = await startImds({ instanceId: instance.id, privateIp: instance.privateIp, region });
      const end = (stop: () => Promise<void>) => async () => {
        for (const { pid } of children) if (pid !== undefined) process.kill(-pid, "SIGKILL");
        await imds.close();
        await stop();
      };
      return {
        ...machine,
        shutdown: end(machine.shutdown),
        kill: end(machine.kill),
        exec: (...command) =>
          new Promise((resolve, reject) => {
            const [program = "", ...args] = command.slice(command.indexOf("timeout"));
            const child = spawn(program, args, {
              detached: true,
              env: {
                PATH: process.env.PATH,
                AWS_ENDPOINT_URL: aws.url,
                AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
              },
            });
            children.add(child);
            let stdout = "";
            let stderr = "";
            child.stdout.setEncoding("utf8").on("data", (text) => {
              stdout += text;
            });
            child.stderr.setEncoding("utf8").on("data", (text) => {
              stderr += text;
            });
            child.on("error", reject).on("close", (status) => {
              children.delete(child);
              if (status === 0) resolve(stdout);
              else reject(new CommandFailed(command, status ?? -1, stdout, stderr));
            });
          }),
      };
    },
  };
}
