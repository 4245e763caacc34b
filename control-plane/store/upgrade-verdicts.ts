/** What is held for and against the workers that an upgrade has asked. */
import type { LeaseTiming } from "../lease/timing";
import type { Queryable } from "./database";

/** The version that session `s` runs of what upgrade `u` is of. */
export const VERSION = "case u.program when 'agent' then s.agent_version else s.daemon_version end";

/** Session `s` is one of worker `w`, open or not. */
const OF_WORKER = "s.deployment_id = u.deployment_id and s.worker_id = w.worker_id";

/** An outage counts against no deadline: they begin anew with its end, and so do soaks, of which nobody saw anything meanwhile. */
const IS_OVERDUE = "greatest(w.asked_at, up_since) + u.deadline < now()";

/**
 * Those that go with another version than they were asked for: their sessions are closed or, once they are overdue, drain. A worker that has
 * begun to run the version, or is silent, is not among them: that may be the version's doing.
 */
const LEFT = `
  delete from upgrade_workers w using upgrades u, pulse
  where u.id = $1 and w.upgrade_id = u.id and w.settled_at is null
    and not exists (select from sessions s where ${OF_WORKER}
      and case s.state when 'open' then not (s.draining and ${IS_OVERDUE}) when 'registered' then not ${IS_OVERDUE} else false end)
    and (select ${VERSION} from sessions s where ${OF_WORKER} order by s.epoch desc limit 1) is distinct from u.version
  returning w.worker_id as "workerId"`;

const OVERDUE = `
  update upgrade_workers w set state = 'failed', settled_at = now(), detail = 'was not healthy in time'
  from upgrades u, pulse where u.id = $1 and w.upgrade_id = u.id and w.settled_at is null and ${IS_OVERDUE}`;

/**
 * Healthy workers that run another version again, or went silent before their soak was known to be over; not those that drain or have
 * no open session, who go in order. That it is healthy is a sign of life as a heartbeat is: the session in which it is said may yet open.
 */
const WORSE_OFF = `
  update upgrade_workers w set state = 'failed', settled_at = now(),
    detail = 'was healthy and ' || case when ${VERSION} <> u.version then 'runs ' || ${VERSION} || ' again' else 'went silent' end
  from upgrades u join sessions s on s.deployment_id = u.deployment_id and s.state = 'open' join leases l on l.session_id = s.id
  where u.id = $1 and w.upgrade_id = u.id and w.worker_id = s.worker_id
    and w.state = 'healthy' and w.settled_at + make_interval(secs => $2) <= now()
    and (${VERSION} <> u.version or (w.settled_at > '-infinity' and l.expires_at <= now() and not s.draining))`;

/** So many starts within a soak are no accident. */
const MOST_STARTS = 2;

/** Healthy workers whose agent does not stay up: each of its starts opens a session, whose lease is valid again. */
const STARTED_ANEW = `
  update upgrade_workers w set state = 'failed', settled_at = now(),
    detail = 'was healthy and was started anew ' || anew.starts || ' times'
  from (
    select w.worker_id, count(*) as starts
    from pulse, upgrades u join upgrade_workers w on w.upgrade_id = u.id join sessions s on ${OF_WORKER}
    where u.id = $1 and w.state = 'healthy' and w.settled_at > '-infinity' and s.state <> 'registered' and ${VERSION} = u.version
      and s.registered_at > w.settled_at and s.registered_at <= greatest(w.settled_at, up_since) + u.soak
    group by w.worker_id having count(*) > ${MOST_STARTS}
  ) anew
  where w.upgrade_id = $1 and w.worker_id = anew.worker_id and w.state = 'healthy'`;

/** Those whose soak is over, and that were looked at since, were settled before all time. */
const SOAKED = `
  update upgrade_workers w set settled_at = '-infinity' from upgrades u, pulse
  where u.id = $1 and w.upgrade_id = u.id and w.state = 'healthy' and w.settled_at > '-infinity'
    and greatest(w.settled_at, up_since) + u.soak <= now()`;

/** Judges the workers that a running upgrade has asked, and gives those that it lets go. */
export async function judgeWorkers(tx: Queryable, id: string, timing: LeaseTiming): Promise<readonly string[]> {
  const { rows } = await tx.query<{ workerId: string }>(LEFT, [id]);
  await tx.query(OVERDUE, [id]);
  await tx.query(WORSE_OFF, [id, timing.serverLeaseMs / 1_000]);
  await tx.query(STARTED_ANEW, [id]);
  await tx.query(SOAKED, [id]);
  return rows.map(({ workerId }) => workerId);
}
