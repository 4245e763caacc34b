import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";
import { sleep } from "../host/waiting";
import type { DaemonHost } from "./daemon/daemon-host";
import { isGuarded } from "./guard";

const START_DEADLINE_MS = 20_000;
const LOOK_MS = 50;

/** Daemons of `host`, each started only while a guard watches the directory. */
export function guarded(host: DaemonHost, directory: string, command: readonly [string, ...string[]]): DaemonHost {
  let starting: Promise<void> | undefined;
  const ensure = () => {
    starting ??= startGuard(directory, command).finally(() => {
      starting = undefined;
    });
    return starting;
  };
  return {
    survivors: async () => {
      const alive = await host.survivors();
      if (alive.length > 0) await ensure();
      return alive;
    },
    start: async (launch) => {
      await ensure();
      return await host.start(launch);
    },
  };
}

/** @throws Error when no guard came up. */
async function startGuard(directory: string, [program, ...args]: readonly [string, ...string[]]): Promise<void> {
  if (await isGuarded(directory)) return;
  const output = openSync(join(directory, "guard.log"), "a", 0o600);
  let ended = true;
  const deadline = performance.now() + START_DEADLINE_MS;
  while (!(await isGuarded(directory))) {
    if (performance.now() > deadline) throw new Error(`the lease guard did not start: see ${directory}/guard.log`);
    // A guard that came while no lease was valid has found nothing to guard, and left.
    if (ended) {
      const child = spawn(program, args, { detached: true, stdio: ["ignore", output, output] });
      ended = false;
      const end = () => {
        ended = true;
      };
      child.once("error", end).once("exit", end);
      child.unref();
    }
    await sleep(LOOK_MS);
  }
}
