/** Which jobs the claims of a group get. */
import type { Prepared, Queryable } from "./database";
import { JOB_COLUMNS, type JobStep, type LockedJob, readJobs } from "./jobs";
import type { LiveSession } from "./sessions";

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

/** A job that a session holds, and the claim that got it. */
export interface HeldJob extends GrantedJob {
  readonly sessionId: string;
  readonly claimId: string;
  readonly state: string;
}

const HELD: Prepared = {
  name: "held-jobs",
  text: `
  select id as "jobId", fence, session_id as "sessionId", claim_id as "claimId", state from jobs where session_id = any($1)`,
};

/** What sessions hold whose leases are locked. */
export async function readHeldJobs(tx: Queryable, sessions: readonly string[]): Promise<HeldJob[]> {
  return sessions.length > 0 ? (await tx.query<HeldJob>(HELD, [sessions])).rows : [];
}

/**
 * Picks in the order of priority and waiting time. Only rows of jobs are locked, here as everywhere, so that no two
 * transactions wait for each other. `coalesce` hides from the planner how few of all jobs are pending: it would read and sort everything
 * that is ready rather than walk the index until it has enough.
 */
export const PICK: Prepared = {
  name: "pick-jobs",
  text: `
  select ${JOB_COLUMNS} from ready_jobs r join jobs j on j.id = r.job_id
  where r.deployment_id = $1 and r.pool = $2 and coalesce(r.labels <@ $3::jsonb, false) and r.not_before <= now()
    and coalesce(j.state = 'pending', false)
  order by r.priority, r.not_before, r.job_id
  limit $4
  for update of j skip locked`,
};

/** Pending jobs that are locked, each with the step that gives it to its claimer. */
export interface Picked {
  readonly jobs: readonly LockedJob[];
  readonly steps: readonly JobStep[];
  /** What a claim gets: the same claim id gets the same open grants again. */
  grantedTo(claim: Claim): GrantedJob[];
}

/** Picks jobs for claims, for each session at most its free slots. Sessions that the same jobs may go to are served together, in turn. */
export async function pickJobs(
  tx: Queryable,
  claims: readonly Claim[],
  live: ReadonlyMap<string, LiveSession>,
  alreadyHeld: readonly HeldJob[],
): Promise<Picked> {
  const held = [...alreadyHeld];
  const jobs: LockedJob[] = [];
  const steps: JobStep[] = [];
  for (const seats of seatsByKind(claims, live, held)) {
    const { deploymentId, pool, labels } = (seats[0] as Seat).session;
    const picked = await readJobs(tx, PICK, [deploymentId, pool, JSON.stringify(labels), seats.length]);
    for (const [index, { id: jobId, job }] of picked.entries()) {
      const { claim } = seats[index] as Seat;
      const { sessionId: session, claimId } = claim;
      held.push({ jobId, fence: job.fence + 1, sessionId: session, claimId, state: "starting" });
      steps.push({ jobId, event: { type: "claim", session }, actor: `session:${session}`, grant: claim });
    }
    jobs.push(...picked);
  }
  return {
    jobs,
    steps,
    grantedTo: (claim) => held.filter((job) => isOpenGrantOf(job, claim)).map(({ jobId, fence }) => ({ jobId, fence })),
  };
}

/** A free slot of a session, for which a claim wants a job. */
interface Seat {
  readonly claim: Claim;
  readonly session: LiveSession;
}

function seatsByKind(
  claims: readonly Claim[],
  live: ReadonlyMap<string, LiveSession>,
  held: readonly HeldJob[],
): Seat[][] {
  const kinds = new Map<string, Seat[]>();
  const taken = new Map<string, number>();
  for (const { sessionId } of held) taken.set(sessionId, (taken.get(sessionId) ?? 0) + 1);
  for (const claim of new Map(claims.map((claim) => [`${claim.sessionId}/${claim.claimId}`, claim])).values()) {
    const session = live.get(claim.sessionId);
    if (!session?.takesWork || held.some((job) => isOpenGrantOf(job, claim))) continue;
    const used = taken.get(session.id) ?? 0;
    const slots = Math.max(0, Math.min(claim.slots, session.slots - used));
    taken.set(session.id, used + slots);
    const kind = JSON.stringify([session.deploymentId, session.pool, session.labels]);
    const seats = Array.from({ length: slots }, () => ({ claim, session }));
    if (slots > 0) kinds.set(kind, [...(kinds.get(kind) ?? []), ...seats]);
  }
  return [...kinds.values()];
}

const isOpenGrantOf = ({ sessionId, claimId, state }: HeldJob, claim: Claim): boolean =>
  state === "starting" && sessionId === claim.sessionId && claimId === claim.claimId;
