/**
 * What the holder of a job may write. Every statement names the job, the fence and the session; one that no longer holds the job
 * changes nothing.
 */
import type { Pool } from "pg";
import { refOf } from "../protocol/job-ref";
import type { Checkpoint, Request } from "../protocol/messages";
import { type Queryable, transaction } from "./database";
import { applyToJob, applyToJobs } from "./jobs";
import type { Ref } from "./sessions";

/**
 * Keeps the newest checkpoint and gives its number: an older one than is held changes nothing. A checkpoint that is newer ends the
 * count of failures, since the job is getting on.
 * @param gapAfter the position after which changes may be missing. It is told with a checkpoint of its own: where that is held already, so
 * is the gap, or an operator has dealt with it meanwhile.
 */
export async function saveCheckpoint(
  db: Queryable,
  sessionId: string,
  { jobId, fence }: Ref,
  checkpoint: Checkpoint,
  gapAfter?: string,
): Promise<number | "fenced"> {
  const { rows } = await db.query<{ seq: number }>(
    `update jobs set
       checkpoint_seq = greatest(checkpoint_seq, $4),
       checkpoint_phase = case when $4 > coalesce(checkpoint_seq, -1) then $5 else checkpoint_phase end,
       checkpoint_position = case when $4 > coalesce(checkpoint_seq, -1) then $6 else checkpoint_position end,
       failures = case when $4 > coalesce(checkpoint_seq, -1) then 0 else failures end,
       gap_after = case when $4 > coalesce(checkpoint_seq, -1) then coalesce($7, gap_after) else gap_after end
     where id = $1 and fence = $2 and session_id = $3
     returning checkpoint_seq as seq`,
    [jobId, fence, sessionId, checkpoint.seq, checkpoint.phase, checkpoint.position, gapAfter ?? null],
  );
  return rows[0]?.seq ?? "fenced";
}

/** Takes jobs back whose daemons are gone, and gives those that were not this session's any more. */
export async function releaseJobs(
  pool: Pool,
  sessionId: string,
  jobs: Request<"release">["jobs"],
): Promise<readonly Ref[]> {
  const fenced: Ref[] = [];
  for (const { jobId, fence, checkpoint } of jobs) {
    await transaction(pool, async (tx) => {
      if (checkpoint) await saveCheckpoint(tx, sessionId, { jobId, fence }, checkpoint);
      const by = { session: sessionId, fence };
      const job = await applyToJob(tx, jobId, { type: "release", by }, `session:${sessionId}`);
      if (typeof job === "string") fenced.push({ jobId, fence });
    });
  }
  return fenced;
}

/** Puts a grant back that did not reach its worker. */
export async function ungrantJob(pool: Pool, sessionId: string, { jobId, fence }: Ref): Promise<void> {
  const by = { session: sessionId, fence };
  await transaction(pool, (tx) => applyToJob(tx, jobId, { type: "ungrant", by }, "control-plane"));
}

/** Ends a grant whose job's credentials cannot be opened: the job has failed, and says why. */
export async function failGrant(
  pool: Pool,
  sessionId: string,
  { jobId, fence }: Ref,
  { message }: Error,
): Promise<void> {
  const event = { type: "report", by: { session: sessionId, fence }, outcome: "failed" } as const;
  const end = { error: message, logTail: [], checkpoint: undefined, cleaned: false };
  await transaction(pool, (tx) => applyToJobs(tx, [{ jobId, event, actor: "control-plane", end }]));
}

/** Keeps each job's newest figures, the last ones where a job is named twice, and gives those jobs that were not this session's any more. */
export async function saveMetrics(
  db: Queryable,
  sessionId: string,
  jobs: Request<"metrics">["jobs"],
): Promise<readonly Ref[]> {
  const { rows } = await db.query<Ref>(
    `insert into job_metrics (job_id, fence, figures)
     select distinct on (j.id) j.id, j.fence, pushed.figures
     from unnest($2::uuid[], $3::bigint[], $4::jsonb[]) with ordinality as pushed (job_id, fence, figures, place)
     join jobs j on j.id = pushed.job_id and j.fence = pushed.fence and j.session_id = $1
     order by j.id, pushed.place desc
     on conflict (job_id) do update set fence = excluded.fence, figures = excluded.figures, measured_at = now()
     returning job_id as "jobId", fence`,
    [
      sessionId,
      jobs.map(({ jobId }) => jobId),
      jobs.map(({ fence }) => fence),
      jobs.map(({ jobId: _, fence: __, ...figures }) => JSON.stringify(figures)),
    ],
  );
  const saved = new Map(rows.map(({ jobId, fence }) => [jobId, fence]));
  return jobs.filter(({ jobId, fence }) => saved.get(jobId) !== fence).map(refOf);
}
