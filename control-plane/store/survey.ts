/** What the status page says of a deployment. Everything is looked at in the database, and only what is shown of it is read. */
import type { Prepared, Queryable } from "./database";
import { METRICS_AGE_MS } from "./inventory";

/** How urgent a thing is, the most urgent first: where they stand here is how the database orders and counts them. */
export const LEVELS = ["bad", "warn", "good", "quiet"] as const;
export type Level = (typeof LEVELS)[number];

/** More rows than a person reads. */
export const MOST_SHOWN = 500;

const [BAD, WARN, GOOD, QUIET] = LEVELS.map((_, urgency) => urgency);

export interface WorkerStatus {
  readonly workerId: string;
  readonly level: Level;
  readonly pool: string;
  readonly slots: number;
  readonly jobs: number;
  readonly draining: boolean;
  /** How long ago its lease ran out; 0 while it is valid. */
  readonly silentMs: number;
  readonly agentVersion: string;
}

export interface JobStatus {
  readonly name: string;
  readonly level: Level;
  readonly state: string;
  readonly desired: string;
  readonly phase: string | null;
  readonly workerId: string | null;
  /** Whether the lease of the worker that holds it is valid. */
  readonly isHeld: boolean;
  readonly source: string;
  readonly sink: string;
  readonly failures: number;
  readonly lastError: string | null;
  readonly gapAfter: string | null;
  readonly metrics: { readonly lagMs: number; readonly eventsPerSecond: number } | null;
  /** Age of the figures. */
  readonly metricsAgeMs: number | null;
}

export interface WorkerSurvey {
  /** Workers whose session is open; how many of them are silent. */
  readonly count: number;
  readonly silent: number;
  readonly slots: number;
  /** The most urgent first, then in the order of their ids. */
  readonly shown: readonly WorkerStatus[];
}

export interface JobSurvey {
  /** How many there are in each state, and how many of them are in trouble; the most urgent first. */
  readonly states: readonly { readonly state: string; readonly count: number; readonly bad: number }[];
  /** The most urgent first, then in the order of names. */
  readonly shown: readonly JobStatus[];
}

/** The database orders by numbers, which is quicker than by words, and tells the word. */
const LEVEL = `(array['${LEVELS.join("', '")}'])[level + 1] as level`;

/** Never better than it is: a job whose worker is silent, or that has none, does not run. */
const JOBS: Prepared = {
  name: "survey-jobs",
  text: `
    with judged as materialized (
      select j.id, j.name, j.state, l.session_id is not null as "isHeld", case
          when j.state = 'failed' then ${BAD}
          when j.state in ('starting', 'running') then case
            when l.session_id is null then ${BAD}
            when j.desired <> 'run' then ${WARN}
            when j.gap_after is not null then ${BAD}
            when j.state = 'running' then ${GOOD}
            else ${WARN} end
          when j.state = 'pending' then ${WARN}
          else ${QUIET} end as level
      from jobs j left join leases l on l.session_id = j.session_id and l.expires_at > now()
      where j.deployment_id = $1 and j.deleted_at is null
    ), states as (
      select state, count(*), count(*) filter (where level = ${BAD}) as bad from judged group by state order by min(level), state
    ), most_urgent as (
      select * from judged order by level, name limit ${MOST_SHOWN}
    ), shown as (
      select j.name, ${LEVEL}, j.state, j.desired, j.checkpoint_phase as phase, s.worker_id as "workerId", "isHeld",
        source.name as source, sink.name as sink, j.failures, j.last_error as "lastError", j.gap_after as "gapAfter",
        m.figures as metrics, ${METRICS_AGE_MS}
      from most_urgent join jobs j using (id)
        join datasources source on source.id = j.source_id join datasources sink on sink.id = j.sink_id
        left join sessions s on s.id = j.session_id
        left join job_metrics m on m.job_id = j.id and m.fence = j.fence
      order by most_urgent.level, j.name
    )
    select (select coalesce(json_agg(states), '[]') from states) as states,
      (select coalesce(json_agg(shown), '[]') from shown) as shown`,
};

/** Whoever is silent is so for a millisecond at least. One that is silent and holds nothing may well be gone for good, as its jobs are: its session is closed in time. */
const WORKERS: Prepared = {
  name: "survey-workers",
  text: `
    with judged as materialized (
      select s.id, s.worker_id, s.slots, expires_at, expires_at <= now() as silent, case
          when expires_at <= now() then case
            when exists (select from jobs where session_id = s.id) then ${BAD}
            else ${WARN} end
          when s.draining then ${WARN}
          else ${GOOD} end as level
      from sessions s join leases l on l.session_id = s.id
      where s.deployment_id = $1 and s.state = 'open'
    ), most_urgent as (
      select * from judged order by level, worker_id limit ${MOST_SHOWN}
    ), shown as (
      select s.worker_id as "workerId", ${LEVEL}, s.pool, s.slots, s.draining, s.agent_version as "agentVersion",
        (select count(*) from jobs where session_id = s.id) as jobs,
        greatest(0, ceil(extract(epoch from now() - expires_at) * 1000))::bigint as "silentMs"
      from most_urgent join sessions s using (id)
      order by most_urgent.level, s.worker_id
    )
    select count(*), count(*) filter (where silent) as silent, coalesce(sum(slots), 0) as slots,
      (select coalesce(json_agg(shown), '[]') from shown) as shown
    from judged`,
};

export async function surveyJobs(db: Queryable, deploymentId: string): Promise<JobSurvey> {
  return await answerOf<JobSurvey>(db, JOBS, deploymentId);
}

export async function surveyWorkers(db: Queryable, deploymentId: string): Promise<WorkerSurvey> {
  return await answerOf<WorkerSurvey>(db, WORKERS, deploymentId);
}

async function answerOf<Survey>(db: Queryable, statement: Prepared, deploymentId: string): Promise<Survey> {
  const { rows } = await db.query<Survey & Record<string, unknown>>(statement, [deploymentId]);
  if (!rows[0]) throw new Error(`the database says nothing of deployment ${deploymentId} (${statement.name})`);
  return rows[0];
}
