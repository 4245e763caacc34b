/** How jobs come to be. */
import { type Job, newJob, transition } from "../lease/job";
import type { AuditEntry } from "./audit";
import { CatalogConflict } from "./catalog";
import type { Prepared, Queryable, Transaction } from "./database";
import type { Foreseen } from "./foreseen";
import type { Actor, Change, JobDescription, RunnableJob } from "./jobs";

export interface NewJob extends JobDescription {
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

/** Whether a job is made; `refused` when its token is not valid any more, otherwise what is in its way. */
export type Made = "made" | "refused" | CatalogConflict;

/** A job that comes to be in this transaction. */
export interface Fresh {
  readonly creation: Creation;
  /** As it begins: nobody else sees it before the commit. */
  readonly row: RunnableJob;
}

export interface Vetted {
  readonly fresh: readonly Fresh[];
  /** By the job's id. */
  readonly results: ReadonlyMap<string, Made>;
}

/** What the database knows of names, ids and datasources that creations bring. */
export interface Obstacles {
  readonly names: ReadonlySet<string>;
  readonly madeBefore: ReadonlySet<string>;
  readonly datasources: ReadonlySet<string>;
}

type Datasource = { readonly id: string; readonly deploymentId: string };

/** Locked so that none is deleted while a job that uses it comes to be. */
const DATASOURCES: Prepared = {
  name: "datasources-of-jobs",
  text: `
    select id, deployment_id as "deploymentId" from datasources where id = any($1) and deleted_at is null order by id for share`,
};

/** `limit` has each name looked up by itself: a join that was planned when there were no jobs goes on to read all there are. */
export const TAKEN: Prepared = {
  name: "taken-names",
  text: `
    select null as id, wanted.deployment_id as "deploymentId", wanted.name
    from unnest($1::uuid[], $2::text[]) as wanted (deployment_id, name), lateral (
      select from jobs j where j.deployment_id = wanted.deployment_id and j.name = wanted.name and j.deleted_at is null limit 1) taken
    union all select id, null, null from jobs where id = any($3)`,
};

/** Reads what may stand in creations' way, and keeps their datasources from being deleted. */
export async function readObstacles(tx: Queryable, creations: readonly Creation[]): Promise<Obstacles> {
  if (creations.length === 0) return { names: new Set(), madeBefore: new Set(), datasources: new Set() };
  const [datasources, taken] = await Promise.all([
    tx.query<Datasource>(DATASOURCES, [
      [...new Set(creations.flatMap(({ job: { sourceId, sinkId } }) => [sourceId, sinkId]))],
    ]),
    tx.query<{ id: string | null; deploymentId: string; name: string }>(TAKEN, [
      creations.map(({ deploymentId }) => deploymentId),
      creations.map(({ job }) => job.name),
      creations.map(({ id }) => id),
    ]),
  ]);
  return {
    names: new Set(taken.rows.flatMap(({ id, deploymentId, name }) => (id ? [] : [within(deploymentId, name)]))),
    madeBefore: new Set(taken.rows.flatMap(({ id }) => id ?? [])),
    datasources: new Set(datasources.rows.map(({ id, deploymentId }) => within(deploymentId, id))),
  };
}

/** What is read where creations may be made. A name or an id that was taken meanwhile fails the insertion. */
export function nothingInTheWayOf(creations: readonly Creation[]): Foreseen {
  const sides = creations.flatMap(({ deploymentId, job: { sourceId, sinkId } }) => [
    { id: sourceId, deploymentId },
    { id: sinkId, deploymentId },
  ]);
  return new Map([
    [DATASOURCES, { rows: sides }],
    [TAKEN, { rows: [], isImplied: true }],
  ]);
}

/** Says which jobs come to be. @param tokens those that are valid */
export function vet(
  creations: readonly Creation[],
  { names, madeBefore, datasources }: Obstacles,
  tokens: ReadonlySet<string>,
): Vetted {
  const fresh: Fresh[] = [];
  const taken = new Set(names);
  const results = creations.map((creation): [string, Made] => {
    const { id, deploymentId, tokenId, job, run } = creation;
    if (madeBefore.has(id)) return [id, "made"];
    if (!tokens.has(tokenId)) return [id, "refused"];
    const missing = [job.sourceId, job.sinkId].find((side) => !datasources.has(within(deploymentId, side)));
    if (missing) return [id, new CatalogConflict(`there is no datasource ${missing} in the deployment`)];
    const name = within(deploymentId, job.name);
    if (taken.has(name)) return [id, nameTaken(job)];
    taken.add(name);
    fresh.push({
      creation,
      row: { ...job, id, deploymentId, job: firstOf(job, run), checkpointSeq: -1, resume: null },
    });
    return [id, "made"];
  });
  return { fresh, results: new Map(results) };
}

const within = (deploymentId: string, what: string): string => `${deploymentId}/${what}`;

const nameTaken = ({ name }: NewJob): CatalogConflict => new CatalogConflict(`there is a job named ${name}`);

/** What an error of the database says of a creation: another transaction may have taken its name since it was looked for. */
export function conflictOf({ job }: Creation, error: unknown): unknown {
  const { constraint } = error as { constraint?: unknown };
  return constraint === "jobs_by_name" ? nameTaken(job) : error;
}

/** A job as it begins. */
function firstOf(job: NewJob, run: boolean): Job {
  const atRest = newJob(job);
  const queued = run ? transition(atRest, { type: "run" }) : atRest;
  if (typeof queued === "string") throw new Error(`a new job cannot be queued: ${queued}`);
  return queued;
}

/** What the audit log is told of a job that comes to be. */
export function entryOf({ creation: { id, deploymentId, job, actor }, row }: Fresh): AuditEntry {
  const { state: to, desired, fence } = row.job;
  return { deploymentId, actor, action: "job.create", subject: id, detail: { name: job.name, to, desired, fence } };
}

const INSERT: Prepared = {
  name: "insert-jobs",
  text: `
    insert into jobs (id, deployment_id, name, source_id, sink_id, tables, snapshot, options, pool, labels, priority, on_disconnect,
      max_retries, state, pending_since, fence, session_id, claim_id, grant_expires_at)
    select id, "deploymentId", name, "sourceId", "sinkId", tables, snapshot, options, pool, labels, priority, "onDisconnect",
      "maxRetries", state, case state when 'pending' then now() end, fence, "sessionId", "claimId",
      now() + make_interval(secs => "grantSeconds")
    from jsonb_to_recordset($1) as n (id uuid, "deploymentId" uuid, name text, "sourceId" uuid, "sinkId" uuid, tables text[],
      snapshot boolean, options jsonb, pool text, labels jsonb, priority integer, "onDisconnect" text, "maxRetries" integer,
      state text, fence bigint, "sessionId" uuid, "claimId" uuid, "grantSeconds" float)
    order by "deploymentId", name`,
};

/**
 * Puts in the rows of jobs as the transaction's steps have left them, in the order of their names, so that no two transactions wait for each
 * other. A name that was taken meanwhile fails the transaction.
 */
export function insertJobs(tx: Transaction, fresh: readonly Fresh[], changes: ReadonlyMap<string, Change>): void {
  if (fresh.length === 0) return;
  const rows = fresh.map(({ creation: { id, deploymentId, job }, row }) => {
    const { next, grant } = changes.get(id) ?? { next: row.job };
    const { state, fence, session: sessionId } = next;
    const granted = grant && { claimId: grant.claimId, grantSeconds: grant.grantMs / 1_000 };
    return { id, deploymentId, ...job, state, fence, sessionId, ...granted };
  });
  tx.send(INSERT, [JSON.stringify(rows)]);
}
