import type { Pool } from "pg";
import type { LeaseTiming } from "../lease/timing";
import { type Queryable, transaction } from "./database";
import { applyToJobs } from "./jobs";

/** Held by the one copy of the control plane that sweeps. */
const SWEEP_LOCK = 4_850_211_902;

export const EXPIRED_GRANTS = `
  select id, session_id, fence from jobs
  where session_id is not null and state = 'starting' and grant_expires_at <= now() order by id for update skip locked`;

/** Jobs that are kept on disconnection stay where they are until there is evidence that their daemon is gone. */
const LOST = "(j.on_disconnect = 'stop' or j.state = 'starting')";

/**
 * Those of sessions that hold what is lost with them; the others run out and nobody minds. The offset keeps the planner from joining all
 * jobs that are held: its statistics are older than any valid lease, so that to it all of them have run out.
 */
export const EXPIRED_LEASES = `
  select session_id from leases
  where expires_at <= now() and exists (select 1 from jobs j where j.session_id = leases.session_id and ${LOST} offset 0)
  order by session_id for update skip locked`;

export const LOST_JOBS = `
  select id from jobs j where session_id = any($1) and ${LOST} order by id for update`;

/** The longest, in seconds, between two signs that the control plane is up: after a longer gap a worker may have lost its lease in it. */
const gapSeconds = (timing: LeaseTiming): number => (timing.workerLeaseMs + timing.sweepMs) / 1_000;

/** More than a gap lies between the row `pulse` and now, in either direction: the control plane was down, or the clock was set. */
const IS_LEAP = "abs(extract(epoch from now() - seen_at)) > $1";

/**
 * Says that the control plane is up; called between two sweeps. After a gap in which a worker may have lost its lease for want of
 * anybody to renew it, the time it has been up starts anew, and so it does when the clock was set back by as much. A sweep that is merely
 * late is no such gap.
 */
export async function pulse(db: Queryable, timing: LeaseTiming): Promise<void> {
  await db.query(
    `update pulse set seen_at = now(),
       up_since = case when ${IS_LEAP} then now() else up_since end`,
    [gapSeconds(timing)],
  );
}

/**
 * Takes jobs from sessions whose lease ran out, and grants that nobody took up; gives how many. Everything is judged by the
 * database's clock. No lease is judged until the control plane and the database have both been up for a whole one: before that a lease
 * may have run out only because nobody was there to renew it.
 */
export async function sweep(pool: Pool, timing: LeaseTiming): Promise<number> {
  return await transaction(pool, async (tx) => {
    const lock = await tx.query<{ mine: boolean }>("select pg_try_advisory_xact_lock($1) as mine", [SWEEP_LOCK]);
    if (!lock.rows[0]?.mine) return 0;
    const lost = (await hasGrace(tx, timing)) ? [] : await lostJobs(tx);
    const grants = await tx.query<{ id: string; session_id: string; fence: number }>(EXPIRED_GRANTS);
    const moved = await applyToJobs(tx, [
      ...lost.map((jobId) => ({ jobId, event: { type: "lost" }, actor: "sweeper" }) as const),
      ...grants.rows.map(
        ({ id, session_id: session, fence }) =>
          ({ jobId: id, event: { type: "ungrant", by: { session, fence } }, actor: "sweeper" }) as const,
      ),
    ]);
    return moved.filter((job) => typeof job !== "string").length;
  });
}

/**
 * Whether the control plane or the database was down so lately that a worker which is alive may not have renewed its lease since; also while
 * a copy that has just started has not said so yet.
 */
export async function hasGrace(tx: Queryable, timing: LeaseTiming): Promise<boolean> {
  const { rows } = await tx.query<{ grace: boolean }>(
    `select now() - greatest(up_since, case when pg_postmaster_start_time() <= now() then pg_postmaster_start_time() end)
         < make_interval(secs => $2)
       or ${IS_LEAP} as grace from pulse`,
    [gapSeconds(timing), timing.serverLeaseMs / 1_000],
  );
  return rows[0]?.grace ?? true;
}

async function lostJobs(tx: Queryable): Promise<string[]> {
  const { rows } = await tx.query<{ session_id: string }>(EXPIRED_LEASES);
  const jobs = await tx.query<{ id: string }>(LOST_JOBS, [rows.map(({ session_id }) => session_id)]);
  return jobs.rows.map(({ id }) => id);
}
