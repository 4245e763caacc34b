/** How jobs come to be. */
import { type Job, newJob, transition } from "../lease/job";
import type { AuditEntry } from "./audit";
import { CatalogConflict } from "./catalog";
import type { Prepared, Queryable } from "./database";
import { type Actor, auditOf, type LockedJob } from "./jobs";

export interface NewJob {
  readonly name: string;
  readonly sourceId: string;
  readonly sinkId: string;
  readonly tables: readonly string[];
  readonly snapshot: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly onDisconnect: "stop" | "keep";
  readonly maxRetries: number;
}

/** A job that an operator asks for. */
export interface Creation {
  /** The new job's. A creation that is repeated with it, because its answer was lost, was done before. */
  readonly id: string;
  readonly deploymentId: string;
  readonly job: NewJob;
  /** Queues it; it stays at rest otherwise. */
  readonly run: boolean;
  readonly actor: Actor;
}

/** New rows of jobs, which claims after them in the transaction see, and what the audit log is told. */
export interface Created {
  readonly jobs: readonly LockedJob[];
  readonly entries: readonly AuditEntry[];
  /** By its id: the id again, or what is in the job's way. */
  readonly results: ReadonlyMap<string, string | CatalogConflict>;
}

/** Locked so that none is deleted while a job that uses it comes to be. */
const DATASOURCES: Prepared = {
  name: "datasources-of-jobs",
  text: `
    select id, deployment_id as "deploymentId" from datasources where id = any($1) and deleted_at is null order by id for share`,
};

const INSERT: Prepared = {
  name: "insert-jobs",
  text: `
    insert into jobs (id, deployment_id, name, source_id, sink_id, tables, snapshot, options, pool, labels, priority, on_disconnect,
      max_retries, state, pending_since)
    select n.id, n."deploymentId", n.name, n."sourceId", n."sinkId", n.tables, n.snapshot, n.options, n.pool, n.labels, n.priority,
      n."onDisconnect", n."maxRetries", n.state, case n.state when 'pending' then now() end
    from jsonb_to_recordset($1) as n (id uuid, "deploymentId" uuid, name text, "sourceId" uuid, "sinkId" uuid, tables text[],
        snapshot boolean, options jsonb, pool text, labels jsonb, priority integer, "onDisconnect" text, "maxRetries" integer,
        state text)
      join datasources source on source.id = n."sourceId" join datasources sink on sink.id = n."sinkId"
    where (source.deployment_id, sink.deployment_id) = (n."deploymentId", n."deploymentId")
      and source.deleted_at is null and sink.deleted_at is null
    order by n."deploymentId", n.name
    on conflict do nothing returning id`,
};

const MADE_BEFORE: Prepared = { name: "jobs-made-before", text: "select id from jobs where id = any($1)" };

/** Puts in the rows of jobs, in the order of their names, so that no two transactions wait for each other. */
export async function createJobs(tx: Queryable, creations: readonly Creation[]): Promise<Created> {
  if (creations.length === 0) return { jobs: [], entries: [], results: new Map() };
  const rows = creations.map((creation) => {
    const { id, deploymentId, job } = creation;
    return { id, deploymentId, ...job, state: firstJob(creation).state };
  });
  const [datasources, inserted] = await Promise.all([
    tx.query<{ id: string; deploymentId: string }>(DATASOURCES, [
      [...new Set(rows.flatMap(({ sourceId, sinkId }) => [sourceId, sinkId]))],
    ]),
    tx.query<{ id: string }>(INSERT, [JSON.stringify(rows)]),
  ]);
  const isNew = new Set(inserted.rows.map(({ id }) => id));
  const others = rows.flatMap(({ id }) => (isNew.has(id) ? [] : [id]));
  const before = others.length > 0 ? (await tx.query<{ id: string }>(MADE_BEFORE, [others])).rows : [];
  const isThere = new Set([...isNew, ...before.map(({ id }) => id)]);
  const known = new Set(datasources.rows.map(({ id, deploymentId }) => `${deploymentId}/${id}`));
  const made = creations.filter(({ id }) => isNew.has(id));
  return {
    jobs: made.map((creation) => {
      return { id: creation.id, deploymentId: creation.deploymentId, job: firstJob(creation), checkpointSeq: -1 };
    }),
    entries: made.flatMap(entriesOf),
    results: new Map(creations.map((one) => [one.id, isThere.has(one.id) ? one.id : inTheWay(one, known)])),
  };
}

function firstJob({ job, run }: Creation): Job {
  const atRest = newJob(job);
  const queued = run ? transition(atRest, { type: "run" }) : atRest;
  if (typeof queued === "string") throw new Error(`a new job cannot be queued: ${queued}`);
  return queued;
}

function entriesOf(creation: Creation): AuditEntry[] {
  const { id, deploymentId, job, run, actor } = creation;
  const entry = { deploymentId, actor, action: "job.create", subject: id, detail: { name: job.name } };
  return run ? [entry, auditOf({ id, deploymentId, job: newJob(job) }, "run", firstJob(creation), actor)] : [entry];
}

function inTheWay(
  { deploymentId, job: { name, sourceId, sinkId } }: Creation,
  known: ReadonlySet<string>,
): CatalogConflict {
  const missing = [sourceId, sinkId].find((side) => !known.has(`${deploymentId}/${side}`));
  return new CatalogConflict(
    missing ? `there is no datasource ${missing} in the deployment` : `there is a job named ${name}`,
  );
}
