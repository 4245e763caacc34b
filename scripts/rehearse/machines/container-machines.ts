import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LaunchedInstance, Machine, Machines } from "../../emulator/machines";
import { startContainer } from "./container";
import { engineHere } from "./engine-here";
import type { Lab } from "./lab";
import { LAB_LABEL } from "./labels";
import { loopVolumes } from "./volumes";

export interface ContainerMachinesOptions {
  readonly lab: Lab;
  /** Of {@link instanceImage}. */
  readonly image: string;
  /** Where the metadata service listens on the lab's host address. */
  readonly metadataPort: number;
  /** Of every service in the machines, such as AWS_ENDPOINT_URL; asked when one starts. */
  readonly environment: () => Readonly<Record<string, string>>;
}

/**
 * To make and mount filesystems, to reboot, to make a directory immutable, to keep users off an address, and to see what program
 * another user's process runs. No more: with all of them each machine's udev sees every other machine's volumes.
 */
const CAPABILITIES = ["SYS_ADMIN", "SYS_BOOT", "LINUX_IMMUTABLE", "NET_ADMIN", "SYS_PTRACE"];

/** Low enough that they need not be raised, which takes a capability that a CI machine may lack. */
const LIMITS = ["--ulimit=nofile=16384:16384", "--ulimit=nproc=4096:4096"];

/** The container of an instance. */
export const containerName = (lab: Lab, instanceId: string) => `holdfast-${lab.id}-${instanceId}`;

/**
 * Instances as containers: real systemd, real cloud-init, the address and the hardware address that EC2 gave them, and volumes
 * that appear while they run. Closing the lab removes them, too; once stopped, none starts any more.
 */
export async function containerMachines(options: ContainerMachinesOptions): Promise<Machines> {
  const { lab, image, metadataPort, environment } = options;
  const engine = engineHere();
  const volumes = loopVolumes(join(lab.directory, "volumes"));
  const machines = new Set<Machine>();
  const starting = new Set<Promise<Machine>>();
  let stopped = false;
  // Refused at once, since nothing listens there: a resolver that stays silent costs cloud-init half a minute.
  const resolver = join(lab.directory, "resolv.conf");
  await writeFile(resolver, `nameserver ${lab.network.hostAddress}\noptions timeout:1 attempts:1\n`);

  const start = async ({ id, hostname, privateIp, macAddress }: LaunchedInstance): Promise<Machine> => {
    const services = join(lab.directory, `${id}.conf`);
    const assignments = Object.entries(environment()).map(([name, value]) => `"${name}=${value}"`);
    await writeFile(services, `[Manager]\nDefaultEnvironment=${assignments.join(" ")}\n`);
    const mounts = {
      [resolver]: "/etc/resolv.conf",
      [services]: "/etc/systemd/system.conf.d/environment.conf",
      [process.execPath]: "/usr/local/bin/node",
    };

    const name = containerName(lab, id);
    const nic = { privateIp, macAddress, metadataPort };
    const leave = () => lab.network.leave(privateIp);
    const namespace = engine.namespace === "given" ? await lab.network.join(nic) : undefined;
    const prepare = async (pid: number) => {
      if (namespace !== undefined) return;
      // That of the start before has gone with its processes.
      await leave();
      await lab.network.join({ ...nic, pid });
    };
    try {
      await engine.run(
        "create",
        `--name=${name}`,
        `--label=${LAB_LABEL}=${lab.id}`,
        `--hostname=${hostname}`,
        "--tty",
        ...engine.createArguments(namespace),
        ...LIMITS,
        ...CAPABILITIES.map((capability) => `--cap-add=${capability}`),
        "--device-cgroup-rule=b 7:* rwm",
        ...Object.entries(mounts).map(([from, to]) => `--volume=${from}:${to}:ro`),
        image,
        ...engine.program,
      );
      const machine = await startContainer({ engine, name, instanceId: id, volumes, prepare, cleanUp: leave });
      machines.add(machine);
      void machine.ended.catch(() => undefined).then(() => machines.delete(machine));
      return machine;
    } catch (error) {
      await engine.remove(name);
      await leave();
      throw error;
    }
  };

  return {
    async start(instance) {
      if (stopped) throw new Error(`${instance.id}: the machines of lab ${lab.id} are stopped`);
      const machine = start(instance);
      starting.add(machine);
      try {
        return await machine;
      } finally {
        starting.delete(machine);
      }
    },
    createVolume: volumes.create,
    growVolume: volumes.grow,
    deleteVolume: volumes.remove,
    async stop() {
      stopped = true;
      await Promise.allSettled(starting);
      await Promise.all([...machines].map((machine) => machine.kill()));
      await volumes.removeAll();
    },
  };
}
