/** How jobs come to be. */
import { type Job, newJob, transition } from "../lease/job";
import type { AuditEntry } from "./audit";
import { CatalogConflict } from "./catalog";
import type { Prepared, Queryable } from "./database";
import { type Actor, auditOf, type LockedJob } from "./jobs";
import { readValidTokens, VALID } from "./tokens";

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
  /** What the operator asks with. */
  readonly tokenId: string;
  readonly job: NewJob;
  /** Queues it; it stays at rest otherwise. */
  readonly run: boolean;
  readonly actor: Actor;
}

/** Whether a job was made; `refused` when its token is not valid any more, otherwise what is in its way. */
export type Made = "made" | "refused" | CatalogConflict;

/** New rows of jobs, which claims after them in the transaction see, and what the audit log is told. */
export interface Created {
  readonly jobs: readonly LockedJob[];
  readonly entries: readonly AuditEntry[];
  /** By the job's id. */
  readonly results: ReadonlyMap<string, Made>;
}

/** Datasources are locked so that none is deleted while a job that uses it comes to be. */
const INSERT: Prepared = {
  name: "insert-jobs",
  text: `
    with used as (
      select id, deployment_id from datasources where id = any($2) and deleted_at is null order by id for share
    )
    insert into jobs (id, deployment_id, name, source_id, sink_id, tables, snapshot, options, pool, labels, priority, on_disconnect,
      max_retries, state, pending_since)
    select n.id, n."deploymentId", n.name, n."sourceId", n."sinkId", n.tables, n.snapshot, n.options, n.pool, n.labels, n.priority,
      n."onDisconnect", n."maxRetries", n.state, case n.state when 'pending' then now() end
    from jsonb_to_recordset($1) as n (id uuid, "deploymentId" uuid, "tokenId" uuid, name text, "sourceId" uuid, "sinkId" uuid,
        tables text[], snapshot boolean, options jsonb, pool text, labels jsonb, priority integer, "onDisconnect" text,
        "maxRetries" integer, state text)
      join used source on (source.id, source.deployment_id) = (n."sourceId", n."deploymentId")
      join used sink on (sink.id, sink.deployment_id) = (n."sinkId", n."deploymentId")
    where exists (select 1 from tokens where id = n."tokenId" and ${VALID})
    order by n."deploymentId", n.name
    on conflict do nothing returning id`,
};

const MADE_BEFORE: Prepared = { name: "jobs-made-before", text: "select id from jobs where id = any($1)" };

const DATASOURCES: Prepared = {
  name: "datasources-of-jobs",
  text: `select id, deployment_id as "deploymentId" from datasources where id = any($1) and deleted_at is null`,
};

/** Puts in the rows of jobs, in the order of their names, so that no two transactions wait for each other. */
export async function createJobs(tx: Queryable, creations: readonly Creation[]): Promise<Created> {
  if (creations.length === 0) return { jobs: [], entries: [], results: new Map() };
  const rows = creations.map(({ id, deploymentId, tokenId, job, run }) => {
    return { id, deploymentId, tokenId, ...job, state: firstOf(job, run).state };
  });
  const inserted = await tx.query<{ id: string }>(INSERT, [JSON.stringify(rows), datasourcesOf(creations)]);
  const isNew = new Set(inserted.rows.map(({ id }) => id));
  const made = creations.filter(({ id }) => isNew.has(id));
  const others = creations.filter(({ id }) => !isNew.has(id));
  return {
    jobs: made.map(({ id, deploymentId, job, run }) => {
      return { id, deploymentId, job: firstOf(job, run), checkpointSeq: -1 };
    }),
    entries: made.flatMap(entriesOf),
    results: new Map([...made.map(({ id }) => [id, "made"] as const), ...(await resultsOf(tx, others))]),
  };
}

/** What became of creations that put in no row. */
async function resultsOf(tx: Queryable, creations: readonly Creation[]): Promise<[string, Made][]> {
  if (creations.length === 0) return [];
  const [before, tokens, datasources] = await Promise.all([
    tx.query<{ id: string }>(MADE_BEFORE, [creations.map(({ id }) => id)]),
    readValidTokens(tx, [...new Set(creations.map(({ tokenId }) => tokenId))]),
    tx.query<{ id: string; deploymentId: string }>(DATASOURCES, [datasourcesOf(creations)]),
  ]);
  const wasMade = new Set(before.rows.map(({ id }) => id));
  const known = new Set(datasources.rows.map(({ id, deploymentId }) => `${deploymentId}/${id}`));
  return creations.map((creation) => {
    const { id, tokenId } = creation;
    if (wasMade.has(id)) return [id, "made"];
    return [id, tokens.has(tokenId) ? inTheWay(creation, known) : "refused"];
  });
}

const datasourcesOf = (creations: readonly Creation[]): string[] => [
  ...new Set(creations.flatMap(({ job: { sourceId, sinkId } }) => [sourceId, sinkId])),
];

/** A job as it begins. */
function firstOf(job: NewJob, run: boolean): Job {
  const atRest = newJob(job);
  const queued = run ? transition(atRest, { type: "run" }) : atRest;
  if (typeof queued === "string") throw new Error(`a new job cannot be queued: ${queued}`);
  return queued;
}

function entriesOf({ id, deploymentId, job, run, actor }: Creation): AuditEntry[] {
  const entry = { deploymentId, actor, action: "job.create", subject: id, detail: { name: job.name } };
  return run ? [entry, auditOf({ id, deploymentId, job: newJob(job) }, "run", firstOf(job, run), actor)] : [entry];
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
