import type { Pool } from "pg";
import { recordAudit } from "./audit";
import { type Queryable, transaction } from "./database";

export interface Claim {
  readonly sessionId: string;
  readonly claimId: string;
  readonly slots: number;
  readonly grantMs: number;
}

export interface GrantedJob {
  readonly jobId: string;
  readonly fence: number;
}

/** The claimer, if its lease is valid and it takes work. Its lease is locked, so that its claims come one after the other. */
const CLAIMER = `
  select s.deployment_id, s.pool, s.labels, s.slots from sessions s join leases l on l.session_id = s.id
  where s.id = $1 and s.state = 'open' and not s.draining and l.expires_at > now() for update of l`;

/**
 * Picks in the order of priority and waiting time. Only rows of jobs are locked, here as everywhere, so that no two
 * transactions wait for each other; the pick is materialized, since a joined form may run again and pick twice.
 */
export const PICK = `
  with picked as materialized (
    select r.job_id from ready_jobs r join jobs j on j.id = r.job_id
    where r.deployment_id = $1 and r.pool = $2 and r.labels <@ $3::jsonb and r.not_before <= now() and j.state = 'pending'
    order by r.priority, r.not_before, r.job_id
    limit $4
    for update of j skip locked
  )
  update jobs set state = 'starting', fence = fence + 1, session_id = $5, claim_id = $6,
    grant_expires_at = now() + make_interval(secs => $7)
  where id = any(array(select job_id from picked))
  returning id as "jobId", fence`;

/** Gives pending jobs to a session, at most its free slots; the same claim id gets the same open grants again. */
export async function claimJobs(pool: Pool, claim: Claim): Promise<GrantedJob[]> {
  const repeated = await openGrants(pool, claim);
  if (repeated.length > 0) return repeated;
  return await transaction(pool, async (tx) => {
    const claimer = await tx.query<{ deployment_id: string; pool: string; labels: object; slots: number }>(CLAIMER, [
      claim.sessionId,
    ]);
    const session = claimer.rows[0];
    if (!session) return [];
    const slots = Math.min(claim.slots, session.slots - (await countHeld(tx, claim.sessionId)));
    if (slots <= 0) return [];
    const { rows } = await tx.query<{ jobId: string; fence: number }>(PICK, [
      session.deployment_id,
      session.pool,
      JSON.stringify(session.labels),
      slots,
      claim.sessionId,
      claim.claimId,
      claim.grantMs / 1_000,
    ]);
    for (const { jobId, fence } of rows) {
      await recordAudit(tx, {
        deploymentId: session.deployment_id,
        actor: `session:${claim.sessionId}`,
        action: "job.claim",
        subject: jobId,
        detail: { from: "pending", to: "starting", desired: "run", fence },
      });
    }
    return rows;
  });
}

async function openGrants(db: Queryable, { sessionId, claimId }: Claim): Promise<GrantedJob[]> {
  const { rows } = await db.query<{ jobId: string; fence: number }>(
    `select id as "jobId", fence from jobs where session_id = $1 and claim_id = $2 and state = 'starting'`,
    [sessionId, claimId],
  );
  return rows;
}

async function countHeld(tx: Queryable, sessionId: string): Promise<number> {
  const { rows } = await tx.query<{ held: number }>("select count(*) as held from jobs where session_id = $1", [
    sessionId,
  ]);
  return rows[0]?.held ?? 0;
}
