import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { beforeEnd } from "../before-end";
import type { Bench, Measurement } from "../bench/bench";
import { type ChaosFleet, startChaosFleet } from "../chaos/fleet";
import { until } from "../chaos/until";
import type { Worker } from "../chaos/worker";
import { Writers } from "../chaos/writers";
import { lastToFirst } from "../last-to-first";
import { usageOf } from "./usage";

const JOBS = 40;
const WINDOW_MS = 20_000;
const PATIENCE_MS = 600_000;
/** How many jobs are stopped alone, one after the other, to see how long one takes. */
const ALONE = 5;
const LOOK_MS = 20;

/** What a worker costs beside the daemons that it is there for, and whether it lets them go side by side. */
export const fleet: Bench = {
  name: "fleet",
  about: `a worker with ${JOBS} reference daemons under load: what the agent costs beside them, and how long they take to drain`,
  run: async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
    chmodSync(directory, 0o711);
    const starting = startChaosFleet({ workers: 1, controlPlanes: 1, jobs: JOBS }, directory);
    const parts = [async () => rmSync(directory, { recursive: true }), async () => (await starting).stop()];
    const end = beforeEnd(() => lastToFirst(parts));
    try {
      const running = await starting;
      const writers = new Writers(running.databases.source.pool, JOBS, 1);
      parts.push(() => writers.stop());
      await until("every job streams", PATIENCE_MS, async () =>
        (await running.operator.allStream()) ? true : undefined,
      );
      const [worker] = running.workers;
      if (!worker) throw new Error("the fleet has no worker");
      return [...(await costs(worker)), ...(await drains(running, worker))];
    } finally {
      await end();
    }
  },
};

async function costs(worker: Worker): Promise<Measurement[]> {
  const daemons = worker.daemons().map(({ pid }) => pid);
  const { pid: agent = 0 } = worker.agent;
  const leashes = worker.everything().filter((pid) => pid !== agent && !daemons.includes(pid));
  const groups = { agent: [agent], leashes, [`${daemons.length} daemons`]: daemons };
  const measure = () => Object.values(groups).map((pids) => pids.map(usageOf));
  const before = measure();
  await pause(WINDOW_MS);
  const after = measure();
  const sum = (values: readonly { cpuMs: number; residentMiB: number }[] = [], key: "cpuMs" | "residentMiB") =>
    values.reduce((total, usage) => total + usage[key], 0);
  const rows = Object.keys(groups).map((name, index) => ({
    case: name,
    figures: {
      "CPU ms/s": ((sum(after[index], "cpuMs") - sum(before[index], "cpuMs")) * 1_000) / WINDOW_MS,
      "RSS MiB": sum(after[index], "residentMiB"),
    },
  }));
  const [own, , theirs] = rows;
  if (!own || !theirs) throw new Error("the worker has no agent or no daemons");
  const share = (key: "CPU ms/s" | "RSS MiB") => own.figures[key] / theirs.figures[key];
  return [
    ...rows,
    { case: "agent / daemons", figures: { "CPU ms/s": share("CPU ms/s"), "RSS MiB": share("RSS MiB") } },
  ];
}

async function drains({ operator, jobIds }: ChaosFleet, worker: Worker): Promise<Measurement[]> {
  const alone: number[] = [];
  for (const id of jobIds.slice(0, ALONE)) {
    await operator.want(id, "stop");
    alone.push(await gone(worker, (jobId) => jobId === id));
    await operator.want(id, "run");
    await until("the job streams again", PATIENCE_MS, async () => ((await operator.allStream()) ? true : undefined));
  }
  await operator.drain(worker.name);
  const together = await gone(worker, () => true);
  const slowest = Math.max(...alone);
  return [
    { case: "slowest job, stopped alone", figures: { "drain ms": slowest } },
    { case: `${JOBS} jobs, drained`, figures: { "drain ms": together } },
    { case: `${JOBS} jobs / slowest`, figures: { "drain ms": together / slowest } },
  ];
}

/** How long it takes from now until the worker has no such daemon. */
async function gone(worker: Worker, isMeant: (jobId: string) => boolean): Promise<number> {
  const startedAt = performance.now();
  while (worker.daemons().some(({ jobId }) => isMeant(jobId))) {
    if (performance.now() - startedAt > PATIENCE_MS) throw new Error("the daemons do not end");
    await pause(LOOK_MS);
  }
  return performance.now() - startedAt;
}
