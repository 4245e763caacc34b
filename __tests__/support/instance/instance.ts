import { CommandFailed } from "../../../scripts/emulator/command-failed";
import type { LaunchedInstance, Machine } from "../../../scripts/emulator/machines";
import { containerMachines } from "../../../scripts/rehearse/machines/container-machines";
import type { TestLab } from "./lab";
import { until } from "./until";

/** An instance of a test: one whose user data a fake metadata service holds. */
export interface Instance {
  /** Runs a command inside; its output, also when it fails. */
  exec(...command: string[]): Promise<string>;
  /** Waits until a condition holds. @throws Error with the boot's logs where it never does. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>;
  isRunning(): boolean;
  remove(): Promise<void>;
}

export interface InstanceEndpoints {
  /** Of the metadata service, on the lab's host address. */
  readonly metadataPort: number;
  /** The URL at which machines reach AWS. */
  readonly aws: string;
}

/** A machine for the instance that {@link startImds} describes. */
export async function startInstance({ lab, image }: TestLab, endpoints: InstanceEndpoints): Promise<Instance> {
  const machines = await containerMachines({
    lab: lab(),
    image: image(),
    metadataPort: endpoints.metadataPort,
    environment: () => ({ AWS_ENDPOINT_URL: endpoints.aws }),
  });
  return instanceOf(await machines.start(launchedInstance(`10.${lab().id}.0.10`)));
}

/** What EC2 would call the instance with this address. */
export function launchedInstance(privateIp: string, id = "i-0a1b2c3d4e5f60718"): LaunchedInstance {
  const [, , third = "0", fourth = "0"] = privateIp.split(".");
  const tail = [third, fourth].map((number) => Number(number).toString(16).padStart(2, "0")).join(":");
  return {
    id,
    imageId: "ami-0123456789abcdef0",
    hostname: `ip-${privateIp.replaceAll(".", "-")}`,
    privateIp,
    macAddress: `02:42:0a:00:${tail}`,
  };
}

export function instanceOf(machine: Machine): Instance {
  let running = true;
  void machine.ended.finally(() => {
    running = false;
  });
  const exec = (...command: string[]) =>
    machine.exec(...command).catch((error: Error) => (error instanceof CommandFailed ? error.output : error.message));
  const logs = () => exec("sh", "-c", "tail -n 40 /var/log/cloud-init-output.log /var/log/holdfast/*");
  return {
    exec,
    until: (what, holds) => until(what, holds, async () => `${await logs()}\n${await machine.console()}`),
    isRunning: () => running,
    remove: () => machine.kill(),
  };
}
