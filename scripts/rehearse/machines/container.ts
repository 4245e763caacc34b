import { access } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../emulator/machines";
import { type AttachedVolume, hideDevice, showDevice } from "./devices";
import type { Engine } from "./engine";
import { inMachine } from "./machine-files";
import type { Volumes } from "./volumes";

export interface ContainerOptions {
  readonly engine: Engine;
  /** Created, and never started so far. */
  readonly name: string;
  readonly instanceId: string;
  readonly volumes: Volumes;
  /** Before systemd runs, at every start. */
  readonly prepare: (pid: number) => Promise<void>;
  /** What is left to do once the machine has ended. */
  readonly cleanUp: () => Promise<void>;
}

/** How a container ends whose systemd has called reboot(2): as if by a signal that says which way, see pid_namespaces(7). */
const REBOOTED = 128 + 1;

/** systemd(1), "Signals". */
const REBOOT = "RTMIN+5";
const POWER_OFF = "RTMIN+4";

/** There once systemd handles signals; before, the kernel drops them. */
const SYSTEMD_SOCKET = "/run/systemd/private";

/** EC2 sets no limit, but ends an instance that does not shut down after some minutes. */
const SHUTDOWN_DEADLINE_MS = 180_000;
const POLL_MS = 50;

/** Starts a container and keeps it as an instance is kept: a reboot of the operating system starts it again. */
export async function startContainer(options: ContainerOptions): Promise<Machine> {
  const { engine, name, instanceId, volumes, prepare, cleanUp } = options;
  const attached = new Map<string, AttachedVolume>();
  let starts = 0;
  let pid = 0;
  let finalConsole: string | undefined;

  /** The devices are there before the first process runs: what mounts them at boot does not wait for udev. */
  const boot = async () => {
    pid = await engine.start(name, async (first) => {
      await prepare(first);
      for (const volume of attached.values()) await showDevice(first, volume);
    });
    starts += 1;
  };

  const live = async () => {
    for (;;) {
      const status = Number(await engine.run("wait", name).catch(() => "1"));
      if (status !== REBOOTED) break;
      await boot();
    }
    pid = 0;
    finalConsole = await readConsole().catch(() => "");
    for (const volumeId of attached.keys()) volumes.release(volumeId);
    attached.clear();
    await engine.remove(name);
    await cleanUp();
  };

  const readConsole = () => engine.run("logs", name);

  let over = false;
  const awaitSystemd = async () => {
    while (!over && !(await succeeds(() => access(inMachine(pid, SYSTEMD_SOCKET))))) await sleep(POLL_MS);
  };

  await boot();
  const ended = live().finally(() => {
    over = true;
  });
  // Whoever awaits it hears of a failure; nobody has to.
  ended.catch(() => undefined);

  const running = () => {
    if (over || pid === 0) throw new Error(`${instanceId} does not run`);
  };

  return {
    ended,
    async shutdown() {
      await awaitSystemd();
      if (!over) await engine.run("kill", `--signal=${POWER_OFF}`, name).catch(() => undefined);
      const late = new AbortController();
      const deadline = sleep(SHUTDOWN_DEADLINE_MS, "late", { signal: late.signal }).catch(() => "ended");
      if ((await Promise.race([ended, deadline])) === "late") await engine.run("kill", "--signal=KILL", name);
      late.abort();
      await ended;
    },
    async kill() {
      if (!over) await engine.run("kill", "--signal=KILL", name).catch(() => undefined);
      await ended;
    },
    async reboot() {
      running();
      const before = starts;
      await awaitSystemd();
      if (!over) await engine.run("kill", `--signal=${REBOOT}`, name);
      while (starts === before) {
        running();
        await sleep(POLL_MS);
      }
    },
    async attach(volumeId, deviceName) {
      running();
      const volume = { volumeId, deviceName, device: volumes.hold(volumeId, instanceId) };
      attached.set(volumeId, volume);
      await showDevice(pid, volume);
    },
    async detach(volumeId) {
      const volume = attached.get(volumeId);
      if (volume === undefined) throw new Error(`${volumeId} is not attached to ${instanceId}`);
      attached.delete(volumeId);
      if (pid !== 0) await hideDevice(pid, volume);
      volumes.release(volumeId);
    },
    console: async () => finalConsole ?? readConsole(),
    async exec(...command) {
      running();
      return engine.run("exec", name, ...command);
    },
  };
}

const succeeds = (check: () => Promise<unknown>) =>
  check().then(
    () => true,
    () => false,
  );
