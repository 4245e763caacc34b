import { isHeld, type Job, type JobEvent, type Refused, retryDelayMs, transition } from "../lease/job";
import { recordAudit } from "./audit";
import type { Queryable } from "./database";

interface JobRow {
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
}

/** Who did it, for the audit log: `operator:<token>`, `session:<id>` or `sweeper`. */
export type Actor = string;

/**
 * Makes one step of a job's state machine: locks the row, asks `transition`, writes what it says together with one entry of the
 * audit log. `not_found` when there is no such job (in the deployment, where one is given).
 */
export async function applyToJob(
  tx: Queryable,
  jobId: string,
  event: JobEvent,
  actor: Actor,
  deploymentId?: string,
): Promise<Job | Refused | "not_found"> {
  const { rows } = await tx.query<JobRow>(
    `select deployment_id, state, desired, fence, session_id, reported_session, reported_fence, failures, max_retries, on_disconnect
     from jobs where id = $1 and ($2::uuid is null or deployment_id = $2) for update`,
    [jobId, deploymentId ?? null],
  );
  const row = rows[0];
  if (!row) return "not_found";
  const job = fromRow(row);
  const next = transition(job, event);
  if (typeof next === "string" || next === job) return next;
  await write(tx, jobId, job, next);
  await recordAudit(tx, {
    deploymentId: row.deployment_id,
    actor,
    action: `job.${event.type}`,
    subject: jobId,
    detail: { from: job.state, to: next.state, desired: next.desired, fence: next.fence },
  });
  return next;
}

async function write(tx: Queryable, jobId: string, job: Job, next: Job): Promise<void> {
  const delayMs = next.failures > job.failures ? retryDelayMs(next.failures, Math.random) : 0;
  await tx.query(
    `update jobs set state = $2, desired = $3, session_id = $4, reported_session = $5, reported_fence = $6, failures = $7,
       claim_id = case when $8 then claim_id end, grant_expires_at = case when $2 = 'starting' then grant_expires_at end,
       not_before = now() + make_interval(secs => $9)
     where id = $1`,
    [
      jobId,
      next.state,
      next.desired,
      next.session,
      next.reported?.session ?? null,
      next.reported?.fence ?? null,
      next.failures,
      isHeld(next),
      delayMs / 1_000,
    ],
  );
}

function fromRow(row: JobRow): Job {
  const { reported_session: session, reported_fence: fence } = row;
  return {
    state: row.state,
    desired: row.desired,
    fence: row.fence,
    session: row.session_id,
    reported: session !== null && fence !== null ? { session, fence } : null,
    failures: row.failures,
    maxRetries: row.max_retries,
    onDisconnect: row.on_disconnect,
  };
}
