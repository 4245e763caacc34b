import { setTimeout as pause } from "node:timers/promises";
import { accountForJobs } from "./check/accounts";
import { compareTables } from "./check/equality";
import { checkFencing } from "./check/fencing";
import { readHistory, recordHistory } from "./check/history";
import { slotOf } from "./check/slots";
import { type ChaosFleet, startChaosFleet } from "./fleet";
import { Injector } from "./inject";
import { type ChaosReport, type ReportedFault, seconds } from "./report";
import { describe, type FleetSize, jobName, type Step, schedule, tableName } from "./schedule";
import { until } from "./until";
import { Writers } from "./writers";

export interface RunProps {
  readonly seed: number;
  readonly size: FleetSize;
  /** When no further fault is begun: after so long, or after so many. */
  readonly end: { readonly afterMs: number } | { readonly afterFaults: number };
  /** An empty folder that PostgreSQL's user may pass. */
  readonly directory: string;
  readonly say: (line: string) => void;
  /** The run is given up. */
  readonly interrupted: AbortSignal;
}

/** Nothing takes so long that is not stuck: the slowest retry comes after five minutes. */
const FIRST_COPY_WITHIN_MS = 300_000;
const SETTLES_WITHIN_MS = 900_000;

const NETWORK = "a TCP proxy between every two that talk; a cut is silent, and what waits arrives when it is healed";

/** One run, from empty databases to a verdict. Whatever happens, all that it started is ended. */
export async function runChaos(props: RunProps): Promise<ChaosReport> {
  const { size, say, seed, interrupted } = props;
  const startedAt = performance.now();
  const fleet = await startChaosFleet(size, props.directory);
  const writers = new Writers(fleet.databases.source.pool, size.jobs, seed);
  try {
    say(`${size.jobs} jobs on ${size.workers} workers; waiting until each has copied its table`);
    await until("every job streams", FIRST_COPY_WITHIN_MS, async () =>
      interrupted.aborted || (await fleet.operator.allStream()) ? true : undefined,
    );
    await recordHistory(fleet.databases.sink.pool);
    const { faults, injector } = await hurt(fleet, props);
    say("no more faults; waiting until all is healed and the sinks have what the sources have");
    await injector.healed();
    await writers.stop();
    const unsettled = await settle(fleet, interrupted);
    return {
      ...(await judge(fleet, injector, unsettled)),
      seed,
      size,
      network: NETWORK,
      faults,
      transactions: writers.committed,
      elapsedMs: performance.now() - startedAt,
      interrupted: interrupted.aborted,
    };
  } finally {
    await writers.stop();
    await fleet.stop();
  }
}

async function hurt(fleet: ChaosFleet, { seed, size, end, say, interrupted }: RunProps) {
  const injector = new Injector(fleet, interrupted);
  const faults: ReportedFault[] = [];
  const startedAt = performance.now();
  const isOver = () =>
    "afterMs" in end ? performance.now() - startedAt >= end.afterMs : faults.length >= end.afterFaults;
  for (const step of schedule(seed, size)) {
    if (isOver() || interrupted.aborted) break;
    await pause(step.afterMs, undefined, { signal: interrupted }).catch(() => undefined);
    faults.push(begin(step, injector, performance.now() - startedAt, say));
  }
  return { faults, injector };
}

/** The outcome is filled in when the fault is over. */
function begin(step: Step, injector: Injector, atMs: number, say: (line: string) => void): ReportedFault {
  const fault = describe(step.fault);
  const reported = { atMs: Math.round(atMs), fault, outcome: "under way" };
  say(`${seconds(atMs).padStart(8)}  ${fault}`);
  injector.inject(step).then(
    (outcome) => {
      reported.outcome = outcome;
      if (outcome !== "done") say(`          ${fault}: ${outcome}`);
    },
    (error: Error) => {
      reported.outcome = `failed: ${error.message}`;
      say(`          ${fault}: ${reported.outcome}`);
    },
  );
  return reported;
}

/** Waits until every sink has got as far as its source, and every job is where it should be; gives what is not in time. */
async function settle(fleet: ChaosFleet, interrupted: AbortSignal): Promise<readonly string[]> {
  let open: readonly string[] = [];
  try {
    const end = await until("the source tells its position", SETTLES_WITHIN_MS, () => walEnd(fleet));
    await until("quiescence", SETTLES_WITHIN_MS, async () => {
      open = [...(await behind(fleet, end)), ...(await accounts(fleet))];
      return open.length === 0 || interrupted.aborted ? true : undefined;
    });
    return interrupted.aborted ? ["the run was interrupted"] : [];
  } catch (error) {
    return [
      `not settled after ${SETTLES_WITHIN_MS / 60_000} minutes: ${String((error as Error).cause ?? "")}`,
      ...open,
    ];
  }
}

async function walEnd({ databases }: ChaosFleet): Promise<string | undefined> {
  return (await databases.source.pool.query<{ lsn: string }>("select pg_current_wal_lsn() as lsn")).rows[0]?.lsn;
}

/** The jobs whose sinks have not got as far. */
async function behind({ databases, jobIds }: ChaosFleet, end: string): Promise<readonly string[]> {
  const { rows } = await databases.sink.pool.query<{ slot: string; lsn: string | null }>(
    "select slot_name as slot, lsn from holdfast.replication where lsn >= $1::pg_lsn",
    [end],
  );
  return jobIds.flatMap((id, job) =>
    rows.some(({ slot }) => slot === slotOf(id)) ? [] : [`${jobName(job)} has not reached ${end} of its source`],
  );
}

async function accounts(fleet: ChaosFleet): Promise<readonly string[]> {
  const { rows } = await fleet.databases.sink.pool.query<{ slot: string; fence: string }>(
    "select slot_name as slot, fence from holdfast.replication",
  );
  const bySlot = new Map(rows.map(({ slot, fence }) => [slot, BigInt(fence)]));
  const fences = new Map(
    fleet.jobIds.flatMap((id) => {
      const fence = bySlot.get(slotOf(id));
      return fence === undefined ? [] : [[id, fence] as const];
    }),
  );
  const daemons = fleet.workers.flatMap((worker) =>
    worker.daemons().map(({ jobId, fence }) => ({ worker: worker.name, jobId, fence })),
  );
  return accountForJobs(fleet.jobIds, await fleet.operator.jobs(), daemons, fences);
}

async function judge(fleet: ChaosFleet, injector: Injector, unsettled: readonly string[]) {
  const { source, sink } = fleet.databases;
  const fencing = checkFencing(await readHistory(sink.pool), injector.frozen);
  const tables = [];
  for (let job = 0; job < fleet.size.jobs; job++) {
    tables.push(await compareTables(source.pool, sink.pool, tableName(job)));
  }
  const tamperedAt = await fleet.operator.auditTamperedAt();
  const { violations, ...counts } = fencing;
  return {
    fencing: counts,
    tables: tables.map(({ differences: _, ...table }) => table),
    violations: [
      ...unsettled,
      ...violations,
      ...tables.flatMap(({ differences }) => differences),
      ...(tamperedAt === null ? [] : [`the audit log does not fit together at entry ${tamperedAt}`]),
    ],
  };
}
