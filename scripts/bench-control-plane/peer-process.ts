import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { node22 } from "../node22";
import { installPeers, PEERS, versionOf } from "./peer-packages";
import type { Queue } from "./queue";

/** Another project's queue. */
export interface Peer extends Queue {
  /** Who held a job, and what is left of it, once a worker that had lost it to another has ended it. */
  completeStale(): Promise<Readonly<Record<string, unknown>>>;
}

/**
 * Starts another project's queue as it is published, on a database without one.
 *
 * @throws Error where it can't be installed; then and from every call, with what it printed, where its process ends
 */
export async function startPeer(queue: "graphile-worker" | "pg-boss", url: string, clients: number): Promise<Peer> {
  const name = `${queue} ${versionOf(queue)}`;
  const execPath = node22(undefined, () => {});
  await installPeers(execPath);
  const child = fork(join(PEERS, "peer.mjs"), [queue, `${clients}`], {
    execPath,
    execArgv: [],
    env: { ...process.env, DATABASE_URL: url },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  // Not its "close", which it does not say where the channel was closed from here.
  const ended = Promise.all([once(child, "exit"), child.stderr && once(child.stderr, "close")]);
  const failure = (): Error => new Error(`${name} ended with ${child.exitCode ?? child.signalCode}:\n${stderr}`);
  const answer = async (): Promise<unknown> =>
    await Promise.race([
      once(child, "message").then(([message]) => message),
      ended.then(() => {
        throw failure();
      }),
    ]);
  const ask = async <T>(what: string, ...details: readonly number[]): Promise<T> => {
    // Where there is nobody to send it to, the end of the process says why.
    child.send([what, ...details], () => undefined);
    const [value] = (await answer()) as [T];
    return value;
  };
  await answer();
  return {
    name,
    drain: (jobs) => ask("drain", jobs),
    drainInBatches: (jobs) => ask("drainInBatches", jobs),
    latencies: (jobs) => ask("latencies", jobs),
    completeStale: () => ask("completeStale"),
    stop: async () => {
      if (child.connected) child.disconnect();
      await ended;
      if (child.exitCode !== 0) throw failure();
    },
  };
}
