import type { Pool } from "pg";
import type { LeaseTiming } from "../lease/timing";
import { isSameRef } from "../protocol/job-ref";
import type { Request } from "../protocol/messages";
import { recordAudit } from "./audit";
import { OWES_TEST } from "./connection-tests";
import { type Prepared, type Queryable, type Transaction, transaction } from "./database";
import { type Actor, applyToJobs } from "./jobs";
import { hasGrace } from "./sweeper";
import { OWES_UPGRADE } from "./upgrades";

export interface Ref {
  readonly jobId: string;
  readonly fence: number;
}

/** A job that a session holds, as the store knows it. */
export interface HeldJob extends Ref {
  readonly state: string;
  readonly desired: "run" | "pause" | "stop" | "delete";
}

/** A job that was given to a claim and not started yet. */
export interface OpenGrant extends Ref {
  readonly claimId: string;
}

/**
 * Notes that a session was asked for, again where it was before: its worker is given a token each time. Nothing else changes until its first
 * heartbeat. `session_closed` when it has ended. One that is asked for twice at once is noted by the first, for whose end the other waits.
 */
export async function registerSession(
  tx: Transaction,
  deploymentId: string,
  wanted: Request<"register">,
): Promise<"registered" | "session_closed"> {
  const { sessionId, workerId, agentVersion, daemonVersion } = wanted;
  const { rowCount: created } = await tx.query(
    `insert into sessions (id, deployment_id, worker_id, pool, labels, slots, features, agent_version, daemon_version)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing`,
    [
      sessionId,
      deploymentId,
      workerId,
      wanted.pool,
      JSON.stringify(wanted.labels),
      wanted.slots,
      wanted.features,
      agentVersion,
      daemonVersion,
    ],
  );
  if (created !== 1) {
    // A statement of its own: one that has waited for another registration does not see what that has written.
    const { rows } = await tx.query(
      "select from sessions where id = $1 and deployment_id = $2 and worker_id = $3 and state <> 'closed'",
      [sessionId, deploymentId, workerId],
    );
    if (rows.length === 0) return "session_closed";
  }
  recordAudit(tx, {
    deploymentId,
    actor: `session:${sessionId}`,
    action: "session.register",
    subject: workerId,
    detail: { agentVersion, daemonVersion, ...(created !== 1 && { again: true }) },
  });
  return "registered";
}

/**
 * Opens a registered session with its first heartbeat and closes the worker's others: jobs of theirs that are listed as
 * running go to this session, the rest are free at once. False when a newer session of the worker was opened before.
 */
export async function openSession(
  pool: Pool,
  sessionId: string,
  running: readonly Ref[],
  serverLeaseMs: number,
): Promise<boolean> {
  return await transaction(pool, async (tx) => {
    const session = await lockWorker(tx, sessionId);
    if (!session || session.state === "closed") return false;
    if (session.state === "open") return true;
    const actor = `session:${sessionId}`;
    const superseded = await tx.query(
      "select 1 from sessions where deployment_id = $1 and worker_id = $2 and epoch > $3 and state <> 'registered'",
      [session.deployment_id, session.worker_id, session.epoch],
    );
    if (superseded.rows.length > 0) {
      await tx.query("update sessions set state = 'closed', closed_at = now() where id = $1", [sessionId]);
      const { deployment_id: deploymentId, worker_id: subject } = session;
      recordAudit(tx, { deploymentId, actor, action: "session.close", subject, detail: { superseded: true } });
      return false;
    }
    const older = await tx.query<{ id: string; drain_ordered: boolean }>(
      `update sessions set state = 'closed', closed_at = now()
       where deployment_id = $1 and worker_id = $2 and epoch < $3 and state <> 'closed' returning id, drain_ordered`,
      [session.deployment_id, session.worker_id, session.epoch],
    );
    const closed = older.rows.map(({ id }) => id);
    // An agent that is started anew in the middle of a drain knows nothing of the order.
    const drains = older.rows.some(({ drain_ordered }) => drain_ordered);
    await tx.query(
      `update sessions set state = 'open', draining = draining or $2, drain_ordered = drain_ordered or $2 where id = $1`,
      [sessionId, drains],
    );
    await tx.query("insert into leases (session_id, expires_at) values ($1, now() + make_interval(secs => $2))", [
      sessionId,
      serverLeaseMs / 1_000,
    ]);
    const taken = await takeJobs(tx, closed);
    await applyToJobs(
      tx,
      taken.map(({ jobId, fence, state }) => {
        const alive = state === "running" && running.some((ref) => isSameRef(ref, { jobId, fence }));
        return { jobId, actor, event: alive ? { type: "adopt", session: sessionId } : { type: "gone" } };
      }),
    );
    recordAudit(tx, {
      deploymentId: session.deployment_id,
      actor,
      action: "session.open",
      subject: session.worker_id,
      detail: { closed, ...(drains && { drains }) },
    });
    return true;
  });
}

/** Ends a session whose daemons are all gone; what it held is free at once. */
export async function deregisterSession(pool: Pool, sessionId: string): Promise<void> {
  await transaction(pool, async (tx) => {
    const session = await lockWorker(tx, sessionId);
    if (!session || session.state === "closed") return;
    const actor = `session:${sessionId}`;
    await endSession(tx, sessionId, actor);
    recordAudit(tx, {
      deploymentId: session.deployment_id,
      actor,
      action: "session.close",
      subject: session.worker_id,
    });
  });
}

/**
 * `alive`: the worker's lease is valid. `unjudged`: its lease may have run out only because the control plane was down.
 * `not_found`: the deployment has no such session that is open.
 */
export type NotGone = "alive" | "unjudged" | "not_found";

/**
 * Ends the session of a worker that somebody knows to be gone, as if it had said goodbye, and gives how many jobs are free with it, kept ones
 * too. If it is alive after all, it is told that its session is closed as soon as it is heard of; until then what it keeps on disconnection
 * runs beside those that were given the jobs.
 */
export async function declareGone(
  pool: Pool,
  timing: LeaseTiming,
  { deploymentId, sessionId }: { readonly deploymentId: string; readonly sessionId: string },
  actor: Actor,
): Promise<number | NotGone> {
  return await transaction(pool, async (tx) => {
    const session = await lockWorker(tx, sessionId);
    if (session?.deployment_id !== deploymentId || session.state !== "open") return "not_found";
    const lease = await tx.query<{ valid: boolean }>(
      "select expires_at > now() as valid from leases where session_id = $1 for update",
      [sessionId],
    );
    if (lease.rows[0]?.valid) return "alive";
    if (await hasGrace(tx, timing)) return "unjudged";
    const freed = await endSession(tx, sessionId, actor);
    const detail = { workerId: session.worker_id, freed };
    recordAudit(tx, { deploymentId, actor, action: "worker.gone", subject: sessionId, detail });
    return freed;
  });
}

/** Closes a session and frees the jobs that it holds; gives how many. */
async function endSession(tx: Transaction, sessionId: string, actor: Actor): Promise<number> {
  await tx.query("update sessions set state = 'closed', closed_at = now() where id = $1", [sessionId]);
  const taken = await takeJobs(tx, [sessionId]);
  await applyToJobs(
    tx,
    taken.map(({ jobId }) => ({ jobId, actor, event: { type: "gone" } })),
  );
  return taken.length;
}

/**
 * Ends the leases of sessions and locks the jobs they hold. Every transaction locks leases first, then jobs, then the head of the
 * audit log, so that no two wait for each other.
 */
async function takeJobs(tx: Queryable, sessions: readonly string[]): Promise<(Ref & { state: string })[]> {
  await tx.query("delete from leases where session_id = any($1)", [sessions]);
  const { rows } = await tx.query<Ref & { state: string }>(
    `select id as "jobId", fence, state from jobs where session_id = any($1) order by id for update`,
    [sessions],
  );
  return rows;
}

export const LEASES: Prepared = {
  name: "lock-leases",
  text: `
  select session_id as id from leases where session_id = any($1) and expires_at > now() order by session_id for update`,
};

/**
 * Those of the sessions whose lease is valid; it is locked, so that a session's claims come one after the other. In the order of ids, so that
 * no two transactions wait for each other.
 */
export async function lockLeases(tx: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const { rows } = await tx.query<{ id: string }>(LEASES, [ids]);
  return new Set(rows.map(({ id }) => id));
}

const HELD_JOB = "jsonb_build_object('jobId', j.id, 'fence', j.fence, 'state', j.state, 'desired', j.desired)";

/** The jobs that session `s` of a query holds. */
export const HELD_JOBS = `coalesce((select jsonb_agg(${HELD_JOB}) from jobs j where j.session_id = s.id), '[]')`;

/** A session as its claims need it, and as it stays while what it holds goes on. */
export interface SessionState {
  readonly id: string;
  readonly deploymentId: string;
  readonly state: "registered" | "open" | "closed";
  readonly slots: number;
  readonly draining: boolean;
  /** How many jobs it holds. */
  readonly held: number;
  /** What the claims hold that were asked for. */
  readonly open: readonly OpenGrant[];
  /** Jobs that it holds and is not to run any more. */
  readonly unwanted: readonly HeldJob[];
  /** It was asked to test a connection. */
  readonly owesTest: boolean;
  /** It was asked to upgrade. */
  readonly owesUpgrade: boolean;
}

export const SESSIONS: Prepared = {
  name: "sessions",
  text: `
    select s.id, s.state, s.deployment_id as "deploymentId", s.slots, s.draining, jobs.*, ${OWES_TEST} as "owesTest",
      ${OWES_UPGRADE} as "owesUpgrade"
    from sessions s, lateral (
      select count(*) as held, coalesce(jsonb_agg(${HELD_JOB} order by j.id) filter (where j.desired <> 'run'), '[]') as unwanted,
        coalesce(jsonb_agg(jsonb_build_object('jobId', j.id, 'fence', j.fence, 'claimId', j.claim_id) order by j.id)
          filter (where j.state = 'starting' and j.claim_id = any($2)), '[]') as open
      from jobs j where j.session_id = s.id) jobs
    where s.id = any($1)`,
};

/** Those of the sessions that there are, by id. @param claimIds of which it is asked what they hold */
export async function readSessions(
  db: Queryable,
  ids: readonly string[],
  claimIds: readonly string[],
): Promise<Map<string, SessionState>> {
  if (ids.length === 0) return new Map();
  const { rows } = await db.query<SessionState>(SESSIONS, [ids, claimIds]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** No claim of the session is answered with work any more: its worker says that it drains. */
export async function markDraining(pool: Pool, sessionId: string): Promise<void> {
  await transaction(pool, async (tx) => {
    const { rows } = await tx.query<{ deploymentId: string; subject: string }>(
      `update sessions set draining = true where id = $1 and state <> 'closed' and not draining
       returning deployment_id as "deploymentId", worker_id as subject`,
      [sessionId],
    );
    recordAudit(tx, ...rows.map((row) => ({ ...row, actor: `session:${sessionId}`, action: "session.drain" })));
  });
}

/** Marks a session as draining, by order: its worker is told, also one that drains by itself. False when the deployment has no such open session. */
export async function orderDrain(db: Queryable, sessionId: string, deploymentId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    "update sessions set draining = true, drain_ordered = true where id = $1 and state <> 'closed' and deployment_id = $2",
    [sessionId, deploymentId],
  );
  return rowCount === 1;
}

interface SessionRow {
  deployment_id: string;
  worker_id: string;
  epoch: number;
  state: string;
}

/**
 * Locks out every other change to the sessions of the same worker until the transaction ends; but not claims, which refer to the session
 * while they hold its lease.
 */
async function lockWorker(tx: Queryable, sessionId: string): Promise<SessionRow | undefined> {
  await tx.query(
    "select pg_advisory_xact_lock(hashtextextended(deployment_id::text || worker_id, 0)) from sessions where id = $1",
    [sessionId],
  );
  const { rows } = await tx.query<SessionRow>(
    "select deployment_id, worker_id, epoch, state from sessions where id = $1 for no key update",
    [sessionId],
  );
  return rows[0];
}
