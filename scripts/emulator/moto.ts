import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { end } from "./child";

/** An AWS of this machine's own, empty at the start and gone at the end. */
export interface Emulator {
  /** Where it answers. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

export interface Moto extends Emulator {
  /** Its process: what is left to end where this program could not. */
  readonly pid: number;
}

const START_DEADLINE_MS = 60_000;

/**
 * Starts `moto_server` on a port that the system chooses, with the IAM policies that AWS manages.
 *
 * @throws Error with what it printed, where it ends or does not answer within a minute.
 * https://docs.getmoto.org/en/latest/docs/server_mode.html
 */
export async function startMoto(): Promise<Moto> {
  const child = spawn("moto_server", ["-H", "127.0.0.1", "-p", "0"], {
    env: { ...process.env, MOTO_IAM_LOAD_MANAGED_POLICIES: "true" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let printed = "";
  let failure: Error | undefined;
  child.stderr.on("data", (chunk) => {
    printed = `${printed}${chunk}`.slice(-4_000);
  });
  child.on("error", (error) => {
    failure = error;
  });

  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const [, url] = /Running on (http:\S+)/.exec(printed) ?? [];
    if (url && (await answers(url))) return { url, pid: child.pid ?? 0, stop: () => end(child) };
    if (failure !== undefined || child.exitCode !== null || Date.now() > deadline) {
      await end(child);
      throw new Error(`moto_server did not start: ${failure?.message ?? printed}`);
    }
    await sleep(100);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/moto-api/data.json`)).ok;
  } catch {
    return false;
  }
}
