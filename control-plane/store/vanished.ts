/** Workers that went without a goodbye: a lost instance never comes back, and its successor has another worker id. */
import type { Pool } from "pg";
import type { LeaseTiming } from "../lease/timing";
import { recordAudit } from "./audit";
import { transaction } from "./database";
import { hasGrace } from "./sweeper";

/**
 * How long after its lease a worker may come back to the session it had. As long as the longest lease that can be configured, so that it is
 * above any; and long enough that whoever looks for a worker lost yesterday finds it.
 */
const VANISHED_SECONDS = 86_400;

/** Few enough that heartbeats and whoever writes to the audit log do not wait for long. */
const PORTION = 500;

/**
 * Passes by what others have locked: a session that is opened or closed, and a lease that is renewed or locked by a claim. Only who has a
 * valid lease comes to hold a job, so that a session that holds none still holds none once its lease is locked. A worker that went silent
 * after it was asked to upgrade is left to the upgrade's deadline: to an upgrade, one without a session has gone in order.
 */
const CLOSE = `
  with silent as (
    select s.id from leases l join sessions s on s.id = l.session_id
    where l.expires_at < now() - make_interval(secs => $1) and not exists (select 1 from jobs j where j.session_id = s.id)
      and not exists (
        select 1 from upgrade_workers w join upgrades u on u.id = w.upgrade_id
        where w.worker_id = s.worker_id and w.settled_at is null and u.deployment_id = s.deployment_id
          and u.state in ('running', 'paused'))
    limit $2 for no key update of s, l skip locked
  ), unopened as (
    select id from sessions
    where state = 'registered' and registered_at < now() - make_interval(secs => $1)
    limit $2 for no key update skip locked
  ), ended as (
    delete from leases where session_id = any(array(select id from silent))
  )
  update sessions set state = 'closed', closed_at = now()
  where id = any(array(select id from silent union all select id from unopened))
  returning id, deployment_id as "deploymentId", worker_id as "workerId"`;

/**
 * Closes sessions that hold nothing and were not heard of for a day, and those that were registered and never opened; gives how many. A
 * worker that comes back is told that its session is closed and registers anew. Portions are committed one by one. Nobody is judged until
 * the control plane was up for a whole lease, in which each worker that is alive renews its own.
 */
export async function closeVanished(pool: Pool, timing: LeaseTiming, portion = PORTION): Promise<number> {
  let closed = 0;
  for (let more = portion; more >= portion; closed += more) {
    more = await transaction(pool, async (tx) => {
      if (await hasGrace(tx, timing)) return 0;
      const { rows } = await tx.query<{ id: string; deploymentId: string; workerId: string }>(CLOSE, [
        VANISHED_SECONDS,
        portion,
      ]);
      recordAudit(
        tx,
        ...rows.map(({ id: session, deploymentId, workerId }) => ({
          deploymentId,
          actor: "sweeper",
          action: "session.close",
          subject: workerId,
          detail: { session, vanished: true },
        })),
      );
      return rows.length;
    });
  }
  return closed;
}
