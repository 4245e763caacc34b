import type { Pool } from "pg";
import type { ControlPlane } from "../../../control-plane/api/server";
import { compareTables, type TableComparison } from "../../../scripts/chaos/check/equality";
import { checkFencing } from "../../../scripts/chaos/check/fencing";
import { readHistory, recordHistory } from "../../../scripts/chaos/check/history";
import { slotOf } from "../../../scripts/chaos/check/slots";
import { createTable } from "../../../scripts/chaos/databases";
import { jobName, tableName } from "../../../scripts/chaos/schedule";
import { Writers } from "../../../scripts/chaos/writers";
import { Operator, startCopy } from "../../control-plane/api/clients";
import { until } from "../instance/until";
import { startTestPostgres } from "../postgres";
import { type Certificate, certificateOf, openGate } from "./gate";

/** A job as its operator sees it. */
export interface ReplicationJob {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly workerId: string | null;
  readonly fence: string;
  readonly failures: number;
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

/** A source that is written to without end, an empty sink, a job per table between them, and the control plane that gives the jobs out. */
export interface Replication {
  /** Where machines reach the control plane. */
  readonly url: string;
  /** In PEM: what machines must trust for it. */
  readonly certificate: string;
  readonly deploymentToken: string;
  jobs(): Promise<readonly ReplicationJob[]>;
  sessions(): Promise<readonly WorkerSession[]>;
  /** Once every job has its writer: from now on the source is written to, and the sink records who writes. */
  begin(): Promise<void>;
  /** Ends the writers and waits until the sink's rows are the source's. */
  settle(): Promise<readonly TableComparison[]>;
  /** What speaks against one writer at a time, by the sink's own history, and how often a job was claimed. */
  fencing(): Promise<ReturnType<typeof checkFencing>>;
  readonly transactions: number;
  stop(): Promise<void>;
}

const DECODABLE = {
  wal_level: "logical",
  max_wal_senders: "20",
  max_replication_slots: "20",
  max_connections: "200",
  // What a lost machine had connected is silent from then on.
  wal_sender_timeout: "10s",
};
const SEED = 7;

/** Of the fleet whose workers are to run the jobs. */
export const POOL = "streaming";

/** @param host address of this machine at which others reach it. */
export async function startReplication(host: string, jobCount: number): Promise<Replication> {
  const steps: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const step of steps.splice(0).reverse()) await step();
  };
  try {
    const postgres = await startTestPostgres(DECODABLE);
    steps.push(() => postgres.stop());
    const [store, source, sink] = [
      await postgres.freshDatabase(),
      await postgres.freshDatabase({ migrated: false }),
      await postgres.freshDatabase({ migrated: false }),
    ];
    for (let job = 0; job < jobCount; job++) await createTable(source.pool, tableName(job));
    const { controlPlane } = await startCopy(store.url);
    steps.push(() => controlPlane.stop());

    const gate = async (to: string, tls?: Certificate) => {
      const opened = await openGate(host, Number(new URL(to).port), tls);
      steps.push(() => opened.close());
      return opened.port;
    };
    const tls = certificateOf(host);
    const url = `https://${host}:${await gate(controlPlane.url, tls)}`;
    const databases = await gate(postgres.cluster.url);
    const operator = await createOperator(controlPlane, store.url);
    const urls = [source.url, sink.url].map((each) => reachedThrough(each, host, databases));
    await describeJobs(operator, urls, jobCount);

    let writers: Writers | undefined;
    steps.push(async () => writers?.stop());
    const jobs = async (): Promise<readonly ReplicationJob[]> => {
      const { body } = await operator.get("/jobs");
      const writers = await writersOf(sink.pool);
      return body.map((job: ReplicationJob) => ({ ...job, isWriter: writers.get(slotOf(job.id)) === job.fence }));
    };
    return {
      url,
      certificate: tls.certificate,
      deploymentToken: operator.deploymentToken,
      jobs,
      sessions: () => sessionsOf(store.pool),
      begin: async () => {
        await recordHistory(sink.pool);
        writers = new Writers(source.pool, jobCount, SEED);
      },
      settle: async () => {
        await writers?.stop();
        const compare = async () => {
          const tables = [];
          for (let job = 0; job < jobCount; job++)
            tables.push(await compareTables(source.pool, sink.pool, tableName(job)));
          return tables;
        };
        let tables = await compare();
        await until(
          "the sink's rows are the source's",
          async () => {
            tables = await compare();
            return tables.every(({ differences }) => differences.length === 0);
          },
          async () => JSON.stringify([tables, await jobs()], undefined, 1),
        );
        return tables;
      },
      fencing: async () => checkFencing(await readHistory(sink.pool), []),
      get transactions() {
        return writers?.committed ?? 0;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const createOperator = (controlPlane: ControlPlane, storeUrl: string) =>
  Operator.create(controlPlane.url, storeUrl, "lab");

async function describeJobs(operator: Operator, urls: readonly URL[], count: number): Promise<void> {
  const ids = await Promise.all(
    urls.map(async (url, index) => {
      const { username: user, password } = url;
      const plain = `${url.protocol}//${url.host}${url.pathname}`;
      const body = { name: index === 0 ? "source" : "sink", engine: "postgres", url: plain, user, password };
      return (await operator.post("/datasources", body)).body.id;
    }),
  );
  const [sourceId, sinkId] = ids;
  for (let job = 0; job < count; job++) {
    const options = { FLUSH_INTERVAL_MS: "200" };
    await operator.createJob(jobName(job), {
      sourceId,
      sinkId,
      tables: [`public.${tableName(job)}`],
      pool: POOL,
      options,
    });
  }
}

function reachedThrough(url: string, host: string, port: number): URL {
  const reached = new URL(url);
  reached.hostname = host;
  reached.port = String(port);
  return reached;
}

/** The fence that claimed each slot last; none before the first daemon has made the table. */
async function writersOf(sink: Pool): Promise<ReadonlyMap<string, string>> {
  const { rows: tables } = await sink.query("select to_regclass('holdfast.replication') is not null as there");
  if (!tables[0].there) return new Map();
  const { rows } = await sink.query<{ slot: string; fence: string }>(
    "select slot_name as slot, fence from holdfast.replication",
  );
  return new Map(rows.map(({ slot, fence }) => [slot, fence]));
}

async function sessionsOf(store: Pool): Promise<readonly WorkerSession[]> {
  const { rows } = await store.query<WorkerSession>(
    `select worker_id as "workerId", daemon_version as "daemonVersion", registered_at as "registeredAt", closed_at as "closedAt"
     from sessions order by epoch`,
  );
  return rows;
}
