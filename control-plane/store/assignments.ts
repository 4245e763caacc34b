/** What a worker gets of a job that it was granted. */
import type { Checkpoint, Connection, JobSpec } from "../protocol/messages";
import { openDatasource, type SealedDatasource } from "./catalog";
import type { Prepared, Queryable, Transaction } from "./database";
import { RUNNABLE_COLUMNS, type RunnableJob, readRunnable } from "./jobs";
import type { Keyring } from "./seal";
import type { Ref } from "./sessions";

/** What a granted job's worker needs to know, credentials included. */
export interface Assignment {
  readonly attempt: number;
  readonly spec: JobSpec;
  readonly resume: Checkpoint | null;
}

/** A job that is held, and by whom. */
export interface Held extends Ref {
  readonly sessionId: string;
}

/** The ids stand beside the rows, as where jobs are written. */
const HELD: Prepared = {
  name: "held-jobs",
  text: `
    select ${RUNNABLE_COLUMNS} from jobs j
    where j.id = any($1) and (j.id, j.fence, j.session_id) in (select * from unnest($1::uuid[], $2::bigint[], $3::uuid[]))`,
};

/** Those of the jobs that are held by these sessions with these fences. */
export async function readHeldJobs(tx: Queryable, held: readonly Held[]): Promise<RunnableJob[]> {
  if (held.length === 0) return [];
  return await readRunnable(tx, HELD, [
    held.map(({ jobId }) => jobId),
    held.map(({ fence }) => fence),
    held.map(({ sessionId }) => sessionId),
  ]);
}

/** How datasources are reached, by id, or why a password cannot be opened. */
export type Connections = ReadonlyMap<string, Connection | Error>;

const SEALED: Prepared = {
  name: "sealed-datasources",
  text: `
    select id, deployment_id, engine, url, username, options, sealed_password, version from datasources where id = any($1)`,
};

/**
 * The datasources of jobs, as they are at this point of the transaction. Each is opened once, as soon as it has come: nobody waits for
 * the commit with it. Empty where the transaction fails.
 */
export function sendForConnections(
  tx: Transaction,
  keyring: Keyring,
  jobs: readonly RunnableJob[],
): Promise<Connections> {
  if (jobs.length === 0) return Promise.resolve(new Map());
  const ids = new Set(jobs.flatMap(({ sourceId, sinkId }) => [sourceId, sinkId]));
  return tx.send<SealedDatasource & { deployment_id: string }>(SEALED, [[...ids]]).then(
    (rows) => new Map(rows.map((row) => [row.id, openDatasource(keyring, row.deployment_id, row)])),
    () => new Map(),
  );
}

/** Why the passwords of the job's datasources cannot be opened, where they cannot. */
export function assignmentOf(
  { job, name, sourceId, sinkId, tables, snapshot, options, resume }: RunnableJob,
  connections: Connections,
): Assignment | Error {
  const source = connections.get(sourceId) ?? new Error(`there is no datasource ${sourceId}`);
  const sink = connections.get(sinkId) ?? new Error(`there is no datasource ${sinkId}`);
  if (source instanceof Error) return source;
  if (sink instanceof Error) return sink;
  return {
    attempt: job.failures + 1,
    spec: {
      name,
      source,
      sink,
      tables: [...tables],
      snapshot,
      onDisconnect: job.onDisconnect,
      options: { ...options },
    },
    resume,
  };
}
