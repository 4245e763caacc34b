import type { TableComparison } from "../../chaos/check/equality";
import { check } from "../events/checks";
import { lookUntil } from "../look";
import type { Occasion, Rehearsal } from "../rehearsal";
import type { Check } from "../story/happening";
import { timeText } from "../story/time";
import { drainOf } from "./drains";
import type { Fleet } from "./fleet";
import { haveMoved, jobsOf } from "./moves";
import type { WatchedFleet } from "./watched-fleet";

const POLL_MS = 300;

/** Waits until every job has its writer on a worker in service; where they are then. Of a fleet without jobs nothing is shown. */
export async function replicatingChecks(
  { jobs, replication }: Pick<WatchedFleet, "jobs" | "replication">,
  withinMs: number,
): Promise<readonly Check[]> {
  if (replication.jobCount === 0) return [];
  const ok = await jobs.until(() => jobs.allReplicate, withinMs);
  if (!ok) {
    const still = jobs.jobs.map(({ name, state, workerId }) => `${name} is ${state} on ${workerId ?? "no worker"}`);
    return [{ ok, text: `not every job replicates after ${timeText(withinMs)}: ${still.join(", ")}` }];
  }
  const places = jobs.places.map(([node, names]) => `${node} runs ${names.join(" ")}`);
  return [{ ok, text: `every job replicates: ${places.join(", ")}` }];
}

/** Waits until a worker's jobs run elsewhere. @param byMs since the rehearsal's beginning; undefined where any time will do */
export type Moved = (byMs?: number) => Promise<readonly Check[]>;

/** To be asked for before something happens to a worker: what runs on it is what has to move. */
export function movedFrom({ fleet, story, deadlineMs }: Rehearsal, { node, fromMs }: Occasion): Moved {
  const worker = node.instance;
  if (fleet === undefined || worker === undefined) return async () => [];
  const before = fleet.jobs.jobs;
  const own = jobsOf(before, worker);
  const names = own.map(({ name }) => name).sort();
  return async (byMs) => {
    if (own.length === 0) return [{ ok: true, text: `${node.name} ran no job` }];
    const ok = await fleet.jobs.until(() => haveMoved(before, fleet.jobs.jobs, worker), deadlineMs);
    const after = timeText(story.elapsedMs - fromMs);
    const which = names.join(" ");
    if (!ok) return [{ ok, text: `its jobs do not all run elsewhere after ${after}: ${which}` }];
    if (byMs === undefined) return [{ ok, text: `its jobs run elsewhere after ${after}: ${which}` }];
    const leftMs = byMs - story.elapsedMs;
    return [
      check(
        leftMs > 0,
        `its jobs run elsewhere after ${after}, ${timeText(leftMs)} before it is taken: ${which}`,
        `its jobs run elsewhere after ${after}, ${timeText(-leftMs)} after it was taken: ${which}`,
      ),
    ];
  };
}

/** A worker that its group ends. */
export interface Leaver {
  readonly name: string;
  readonly group: string;
  readonly instance: string;
}

/** Waits until the groups have ended workers; whether each said goodbye within its deadline. */
export async function drainedChecks(rehearsal: Rehearsal, left: readonly Leaver[]): Promise<readonly Check[]> {
  const { fleet, autoScaling, signal, deadlineMs } = rehearsal;
  if (fleet === undefined) return [];
  const checks: Check[] = [];
  for (const { name, group, instance } of left) {
    const pool = fleet.needs.pools.find((candidate) => name.startsWith(`${candidate.name}/`));
    if (pool === undefined) continue;
    const drain = await lookUntil(
      () => drainOf(autoScaling, fleet.replication, group, instance),
      (it) => it !== undefined,
      { withinMs: deadlineMs, pollMs: POLL_MS, signal },
    );
    if (drain?.tookMs === undefined) {
      checks.push({ ok: false, text: `${name} (${instance}) ${drain ? "never said goodbye" : "has not ended"}` });
      continue;
    }
    const ok = drain.tookMs < pool.drainDeadlineMs;
    checks.push({ ok, text: `${name} drained in ${timeText(drain.tookMs)} of ${timeText(pool.drainDeadlineMs)}` });
  }
  return checks;
}

/** Waits until the sinks hold what the sources hold, to which nothing is written any more; and whether one daemon at a time wrote. */
export async function rowsChecks(
  { replication }: Fleet,
  within: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<readonly Check[]> {
  await replication.stop();
  const differencesOf = (compared: readonly TableComparison[]) => compared.flatMap(({ differences }) => differences);
  const tables = await lookUntil(replication.compare, (compared) => differencesOf(compared).length === 0, {
    ...within,
    pollMs: POLL_MS,
  });
  const rows = tables.reduce((sum, { sinkRows }) => sum + sinkRows, 0);
  const { violations, claims, writes } = await replication.fencing();
  return [
    check(
      differencesOf(tables).length === 0,
      `the rows of every sink are its source's: ${rows}, after ${replication.transactions} transactions`,
      `rows differ: ${differencesOf(tables).join("; ")}`,
    ),
    check(
      violations.length === 0,
      `no two daemons ran one job: ${claims} claims, ${writes} writes`,
      `two daemons ran one job: ${violations.join("; ")}`,
    ),
  ];
}
