import { z } from "zod";
import { compareTables, type TableComparison } from "../../chaos/check/equality";
import { checkFencing, type FencingResult } from "../../chaos/check/fencing";
import { readHistory, recordHistory } from "../../chaos/check/history";
import { slotOf } from "../../chaos/check/slots";
import { createTable } from "../../chaos/databases";
import { jobName, tableName } from "../../chaos/schedule";
import { Writers } from "../../chaos/writers";
import type { ControlPlaneApi } from "../../operator/control-plane";
import type { Database, Databases } from "./databases";
import type { PoolNeeds } from "./fleet-needs";

const SEED = 7;

const withId = z.object({ id: z.string() });
const listedJob = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  workerId: z.string().nullable(),
  fence: z.coerce.string(),
});

/** A job as its operator sees it. */
export interface ReplicationJob extends Readonly<z.output<typeof listedJob>> {
  /** Whether the sink knows the daemon of this fence as the job's writer. */
  readonly isWriter: boolean;
}

/** A life of a worker's agent as the control plane knows it. */
export interface WorkerSession {
  readonly workerId: string;
  readonly daemonVersion: string;
  readonly registeredAt: Date;
  /** When the worker said goodbye, after the last of its jobs; null where it never did. */
  readonly closedAt: Date | null;
}

/** A source that is written to without end, an empty sink, and a job per table between them. */
export interface Replication {
  readonly jobCount: number;
  /** Gives every pool its jobs. */
  begin(): Promise<void>;
  /** Once every job has its writer: from now on the source is written to, and the sink records who writes. */
  write(): Promise<void>;
  jobs(): Promise<readonly ReplicationJob[]>;
  sessions(): Promise<readonly WorkerSession[]>;
  /** Ends the writers. */
  stop(): Promise<void>;
  /** Every table of the sink beside its source's. */
  compare(): Promise<readonly TableComparison[]>;
  /** What speaks against one writer at a time, by the sink's own history. */
  fencing(): Promise<FencingResult>;
  /** That the source has committed. */
  readonly transactions: number;
}

export interface ReplicationProps {
  readonly databases: Databases;
  /** Of the control plane that gives the jobs out. */
  readonly api: ControlPlaneApi;
  /** Where the deployment lives in its API. */
  readonly base: string;
  /** Where workers reach a database. */
  readonly reached: (database: Database) => URL;
  readonly pools: readonly Pick<PoolNeeds, "name" | "jobs">[];
}

export function replicationOf({ databases, api, base, reached, pools }: ReplicationProps): Replication {
  const { store, source, sink } = databases;
  const poolOf = pools.flatMap(({ name, jobs }) => Array<string>(jobs).fill(name));
  const tables = poolOf.map((_, job) => tableName(job));
  let writers: Writers | undefined;

  const datasource = async (name: string, database: Database) => {
    const url = reached(database);
    const { username: user, password } = url;
    const plain = `${url.protocol}//${url.host}${url.pathname}`;
    return (await api.post(`${base}/datasources`, { name, engine: "postgres", url: plain, user, password }, withId)).id;
  };
  return {
    jobCount: poolOf.length,
    begin: async () => {
      for (const table of tables) await createTable(source.pool, table);
      const [sourceId, sinkId] = [await datasource("source", source), await datasource("sink", sink)];
      const options = { FLUSH_INTERVAL_MS: "200" };
      for (const [job, pool] of poolOf.entries()) {
        const described = { name: jobName(job), sourceId, sinkId, tables: [`public.${tableName(job)}`], pool, options };
        await api.post(`${base}/jobs`, described, withId);
      }
    },
    write: async () => {
      await recordHistory(sink.pool);
      writers = new Writers(source.pool, poolOf.length, SEED);
    },
    jobs: async () => {
      const [listed, fences] = [await api.get(`${base}/jobs`, z.array(listedJob)), await writersOf(sink)];
      return listed.map((job) => ({ ...job, isWriter: fences.get(slotOf(job.id)) === job.fence }));
    },
    sessions: () => sessionsOf(store),
    stop: async () => writers?.stop(),
    compare: async () => {
      const compared: TableComparison[] = [];
      for (const table of tables) compared.push(await compareTables(source.pool, sink.pool, table));
      return compared;
    },
    fencing: async () => checkFencing(await readHistory(sink.pool), []),
    get transactions() {
      return writers?.committed ?? 0;
    },
  };
}

/** The fence that claimed each slot last; none before the first daemon has made the table. */
async function writersOf({ pool }: Database): Promise<ReadonlyMap<string, string>> {
  const { rows: tables } = await pool.query("select to_regclass('holdfast.replication') is not null as there");
  if (!tables[0].there) return new Map();
  const { rows } = await pool.query<{ slot: string; fence: string }>(
    "select slot_name as slot, fence::text as fence from holdfast.replication",
  );
  return new Map(rows.map(({ slot, fence }) => [slot, fence]));
}

async function sessionsOf({ pool }: Database): Promise<readonly WorkerSession[]> {
  const { rows } = await pool.query<WorkerSession>(
    `select worker_id as "workerId", daemon_version as "daemonVersion", registered_at as "registeredAt", closed_at as "closedAt"
     from sessions order by epoch`,
  );
  return rows;
}
