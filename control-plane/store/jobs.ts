import { type Desired, type Job, type JobEvent, type Refused, retryDelayMs, transition } from "../lease/job";
import type { Checkpoint } from "../protocol/messages";
import { type AuditEntry, recordAudit } from "./audit";
import type { Prepared, Queryable, Transaction } from "./database";
import { type LeftSlot, type LeftSlots, readSlotsLeftBy, tellLeftSlots } from "./left-slots";

/** Who did it, for the audit log: `operator:<token>`, `session:<id>` or `sweeper`. */
export type Actor = string;

/** One step of a job's state machine, and who makes it. */
export interface JobStep {
  readonly jobId: string;
  readonly event: JobEvent;
  readonly actor: Actor;
  /** Of a claim: what it is called, and how long it may wait to be taken up. */
  readonly grant?: { readonly claimId: string; readonly grantMs: number };
  /** Of a report: what is kept of the end, and the last checkpoint where it came with one. */
  readonly end?: {
    readonly error: string | null;
    readonly logTail: readonly string[];
    readonly checkpoint: Checkpoint | undefined;
    /** Nothing of the job is left in its source. */
    readonly cleaned: boolean;
  };
}

/** The job after the step, or why the step changed nothing. */
export type StepResult = Job | Refused | "not_found";

/** A job whose row is locked. */
export interface LockedJob {
  readonly id: string;
  readonly deploymentId: string;
  readonly job: Job;
  /** Number of the newest checkpoint; -1 before the first. */
  readonly checkpointSeq: number;
}

/** What an operator says of a job that its worker needs to know. */
export interface JobDescription {
  readonly name: string;
  readonly sourceId: string;
  readonly sinkId: string;
  readonly tables: readonly string[];
  readonly snapshot: boolean;
  readonly options: Readonly<Record<string, string>>;
}

/** A job that may be given to a worker. */
export interface RunnableJob extends LockedJob, JobDescription {
  /** The newest checkpoint. */
  readonly resume: Checkpoint | null;
}

interface JobRow {
  id: string;
  deployment_id: string;
  state: Job["state"];
  desired: Job["desired"];
  fence: number;
  session_id: string | null;
  reported_session: string | null;
  reported_fence: number | null;
  failures: number;
  max_retries: number;
  on_disconnect: Job["onDisconnect"];
  checkpoint_seq: number | null;
}

interface RunnableRow extends JobRow {
  name: string;
  source_id: string;
  sink_id: string;
  tables: string[];
  snapshot: boolean;
  options: Record<string, string>;
  checkpoint_phase: Checkpoint["phase"];
  checkpoint_position: string;
}

/** What a query that locks jobs, called `j`, gives of each. */
export const JOB_COLUMNS = `j.id, j.deployment_id, j.state, j.desired, j.fence, j.session_id, j.reported_session, j.reported_fence,
  j.failures, j.max_retries, j.on_disconnect, j.checkpoint_seq`;

/** What a query of jobs that may be given to a worker gives of each. */
export const RUNNABLE_COLUMNS = `${JOB_COLUMNS}, j.name, j.source_id, j.sink_id, j.tables, j.snapshot, j.options,
  j.checkpoint_phase, j.checkpoint_position`;

/** In the order of ids, so that no two transactions wait for each other. */
export const LOCK: Prepared = {
  name: "lock-jobs",
  text: `
    select ${JOB_COLUMNS} from jobs j where j.id = any($1) and ($2::uuid is null or j.deployment_id = $2) order by j.id for update`,
};

/** Jobs by a query that gives `RUNNABLE_COLUMNS`. */
export async function readRunnable(tx: Queryable, query: Prepared, values: readonly unknown[]): Promise<RunnableJob[]> {
  const { rows } = await tx.query<RunnableRow>(query, values);
  return rows.map(runnableFromRow);
}

/** Of one deployment, where it is given. */
export async function lockJobs(tx: Queryable, ids: readonly string[], deploymentId?: string): Promise<LockedJob[]> {
  if (ids.length === 0) return [];
  const { rows } = await tx.query<JobRow>(LOCK, [ids, deploymentId ?? null]);
  return rows.map(fromRow);
}

/** Makes one step of a job. `not_found` when there is no such job (in the deployment, where one is given). */
export async function applyToJob(
  tx: Transaction,
  jobId: string,
  event: JobEvent,
  actor: Actor,
  deploymentId?: string,
): Promise<StepResult> {
  const [result] = await applyToJobs(tx, [{ jobId, event, actor }], deploymentId);
  return result ?? "not_found";
}

/** Makes steps of jobs, in this order where they are of the same one, and gives what became of each. */
export async function applyToJobs(
  tx: Transaction,
  steps: readonly JobStep[],
  deploymentId?: string,
): Promise<readonly StepResult[]> {
  return (await makeSteps(tx, steps, deploymentId)).results;
}

/** What an operator wants a job to do, and what comes of it: the slot that may be left, where the job is deleted with it. */
export async function wishOfJob(
  tx: Transaction,
  {
    jobId,
    desired,
    deploymentId,
  }: { readonly jobId: string; readonly desired: Desired; readonly deploymentId: string },
  actor: Actor,
): Promise<{ readonly job: StepResult; readonly leftSlot: LeftSlot | undefined }> {
  const { results, leftSlots } = await makeSteps(tx, [{ jobId, event: { type: desired }, actor }], deploymentId);
  return { job: results[0] ?? "not_found", leftSlot: leftSlots.get(jobId) };
}

interface Made {
  readonly results: readonly StepResult[];
  readonly leftSlots: LeftSlots;
}

async function makeSteps(tx: Transaction, steps: readonly JobStep[], deploymentId?: string): Promise<Made> {
  const ids = new Set(steps.map(({ jobId }) => jobId));
  const { results, changes, entries } = takeSteps(await lockJobs(tx, [...ids], deploymentId), steps);
  const leftSlots = await readSlotsLeftBy(tx, changes.values());
  updateJobs(tx, [...changes.values()]);
  recordAudit(tx, ...tellLeftSlots(leftSlots, entries));
  return { results, leftSlots };
}

/** What becomes of a job in a transaction. */
export interface Change extends LockedJob {
  readonly next: Job;
  /** How long it waits after a failure. */
  readonly retryMs?: number | undefined;
  readonly grant?: JobStep["grant"];
  readonly end?: JobStep["end"];
}

/** What comes of steps that nothing is written of yet. */
export interface Taken {
  readonly results: readonly StepResult[];
  /** By the job's id. */
  readonly changes: ReadonlyMap<string, Change>;
  /** One for each step that changes something. */
  readonly entries: readonly AuditEntry[];
}

/** Asks `transition` what becomes of jobs that are locked. */
export function takeSteps(locked: readonly LockedJob[], steps: readonly JobStep[]): Taken {
  const known = new Map(locked.map((one) => [one.id, one]));
  const changes = new Map<string, Change>();
  const entries: AuditEntry[] = [];
  const results = steps.map(({ jobId, event, actor, grant, end }): StepResult => {
    const row = known.get(jobId);
    if (!row) return "not_found";
    const held = changes.get(jobId)?.next ?? row.job;
    // A checkpoint that is newer ends the count of failures, since the job got on.
    const gotOn = (end?.checkpoint?.seq ?? -1) > row.checkpointSeq;
    const job = gotOn ? { ...held, failures: 0 } : held;
    const next = transition(job, event);
    if (typeof next === "string" || next === job) return next;
    const retryMs = next.failures > job.failures ? retryDelayMs(next.failures, Math.random) : undefined;
    changes.set(jobId, { ...row, next, retryMs, grant, end });
    entries.push(auditOf({ ...row, job }, event.type, next, actor, end?.error));
    return next;
  });
  return { results, changes, entries };
}

function auditOf(
  { id: subject, deploymentId, job }: Omit<LockedJob, "checkpointSeq">,
  step: JobEvent["type"],
  { state: to, desired, fence }: Job,
  actor: Actor,
  error?: string | null,
): AuditEntry {
  const detail = { from: job.state, to, desired, fence, ...(error && { error }) };
  return { deploymentId, actor, action: `job.${step}`, subject, detail };
}

/** The ids stand beside the rows, so that no plan walks all jobs: of the length of a list of rows the planner knows nothing. */
export const WRITE: Prepared = {
  name: "write-jobs",
  text: `
    update jobs j set state = n.state, desired = n.desired, fence = n.fence, session_id = n.session_id,
       reported_session = n.reported_session, reported_fence = n.reported_fence, failures = n.failures,
       claim_id = case when n.session_id is not null then coalesce(n.claim_id, j.claim_id) end,
       grant_expires_at = case when n.state = 'starting'
         then coalesce(now() + make_interval(secs => n.grant_seconds), j.grant_expires_at) end,
       not_before = now() + make_interval(secs => coalesce(n.delay_seconds, 0)),
       last_error = case when n.log_tail is null then j.last_error else n.last_error end,
       log_tail = coalesce(n.log_tail, j.log_tail),
       checkpoint_seq = greatest(j.checkpoint_seq, n.seq),
       checkpoint_phase = case when n.seq > coalesce(j.checkpoint_seq, -1) then n.phase else j.checkpoint_phase end,
       checkpoint_position = case when n.seq > coalesce(j.checkpoint_seq, -1) then n.position else j.checkpoint_position end
     from jsonb_to_recordset($1) as n (id uuid, state text, desired text, fence bigint, session_id uuid, reported_session uuid,
       reported_fence bigint, failures integer, delay_seconds float, claim_id uuid, grant_seconds float,
       last_error text, log_tail text[], seq bigint, phase text, position text)
     where j.id = n.id and j.id = any($2)`,
};

/** Writes what becomes of jobs. */
export function updateJobs(tx: Transaction, changes: readonly Change[]): void {
  if (changes.length === 0) return;
  const rows = changes.map(({ id, next, retryMs, grant, end }) => ({
    id,
    state: next.state,
    desired: next.desired,
    fence: next.fence,
    session_id: next.session ?? undefined,
    reported_session: next.reported?.session,
    reported_fence: next.reported?.fence,
    failures: next.failures,
    delay_seconds: retryMs && retryMs / 1_000,
    claim_id: grant?.claimId,
    grant_seconds: grant && grant.grantMs / 1_000,
    last_error: end?.error,
    log_tail: end?.logTail,
    ...end?.checkpoint,
  }));
  tx.send(WRITE, [JSON.stringify(rows), rows.map(({ id }) => id)]);
}

function fromRow(row: JobRow): LockedJob {
  const { reported_session: session, reported_fence: fence } = row;
  const job = {
    state: row.state,
    desired: row.desired,
    fence: row.fence,
    session: row.session_id,
    reported: session !== null && fence !== null ? { session, fence } : null,
    failures: row.failures,
    maxRetries: row.max_retries,
    onDisconnect: row.on_disconnect,
  };
  return { id: row.id, deploymentId: row.deployment_id, job, checkpointSeq: row.checkpoint_seq ?? -1 };
}

function runnableFromRow(row: RunnableRow): RunnableJob {
  const { name, source_id: sourceId, sink_id: sinkId, tables, snapshot, options } = row;
  const { checkpoint_seq: seq, checkpoint_phase: phase, checkpoint_position: position } = row;
  const resume = seq === null ? null : { seq, phase, position };
  return { ...fromRow(row), name, sourceId, sinkId, tables, snapshot, options, resume };
}
