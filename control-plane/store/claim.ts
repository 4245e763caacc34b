import type { Pool } from "pg";
import { type Queryable, transaction } from "./database";
import { JOB_COLUMNS, makeSteps, readJobs } from "./jobs";

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

interface Claimer {
  readonly id: string;
  readonly deployment_id: string;
  readonly pool: string;
  readonly labels: object;
  readonly slots: number;
}

interface HeldJob extends GrantedJob {
  readonly sessionId: string;
  readonly claimId: string;
  readonly state: string;
}

/** Sessions that take work and whose leases are valid. The leases are locked, so that a session's claims come one after the other. */
const CLAIMERS = `
  select s.id, s.deployment_id, s.pool, s.labels, s.slots from sessions s join leases l on l.session_id = s.id
  where s.id = any($1) and s.state = 'open' and not s.draining and l.expires_at > now() order by s.id for update of l`;

const HELD = `
  select id as "jobId", fence, session_id as "sessionId", claim_id as "claimId", state from jobs where session_id = any($1)`;

/**
 * Picks in the order of priority and waiting time. Only rows of jobs are locked, here as everywhere, so that no two
 * transactions wait for each other.
 */
export const PICK = `
  select ${JOB_COLUMNS} from ready_jobs r join jobs j on j.id = r.job_id
  where r.deployment_id = $1 and r.pool = $2 and r.labels <@ $3::jsonb and r.not_before <= now() and j.state = 'pending'
  order by r.priority, r.not_before, r.job_id
  limit $4
  for update of j skip locked`;

/**
 * Gives pending jobs to sessions, to each at most its free slots, and says for each claim what it got. The same claim id gets the same
 * open grants again.
 */
export async function claimJobs(pool: Pool, claims: readonly Claim[]): Promise<GrantedJob[][]> {
  return await transaction(pool, async (tx) => {
    const sessions = [...new Set(claims.map(({ sessionId }) => sessionId))];
    const { rows: claimers } = await tx.query<Claimer>(CLAIMERS, [sessions]);
    const { rows: held } = await tx.query<HeldJob>(HELD, [sessions]);
    for (const seats of seatsByKind(claims, claimers, held)) held.push(...(await fill(tx, seats)));
    return claims.map((claim) =>
      held.filter((job) => isOpenGrantOf(job, claim)).map(({ jobId, fence }) => ({ jobId, fence })),
    );
  });
}

/** A free slot of a session, for which a claim wants a job. */
interface Seat {
  readonly claim: Claim;
  readonly claimer: Claimer;
}

/** Those that the same jobs may take stand together, in the order of the claims. */
function seatsByKind(claims: readonly Claim[], claimers: readonly Claimer[], held: readonly HeldJob[]): Seat[][] {
  const kinds = new Map<string, Seat[]>();
  const free = new Map(
    claimers.map(({ id, slots }) => [id, slots - held.filter(({ sessionId }) => sessionId === id).length]),
  );
  for (const claim of new Map(claims.map((claim) => [`${claim.sessionId}/${claim.claimId}`, claim])).values()) {
    const claimer = claimers.find(({ id }) => id === claim.sessionId);
    if (!claimer || held.some((job) => isOpenGrantOf(job, claim))) continue;
    const { id, deployment_id, pool, labels } = claimer;
    const kind = JSON.stringify([deployment_id, pool, labels]);
    const slots = Math.max(0, Math.min(claim.slots, free.get(id) ?? 0));
    free.set(id, (free.get(id) ?? 0) - slots);
    const seats = Array.from({ length: slots }, () => ({ claim, claimer }));
    if (slots > 0) kinds.set(kind, [...(kinds.get(kind) ?? []), ...seats]);
  }
  return [...kinds.values()];
}

async function fill(tx: Queryable, seats: readonly Seat[]): Promise<HeldJob[]> {
  const { claimer } = seats[0] as Seat;
  const picked = await readJobs(tx, PICK, [
    claimer.deployment_id,
    claimer.pool,
    JSON.stringify(claimer.labels),
    seats.length,
  ]);
  const claimOf = (index: number): Claim => (seats[index] as Seat).claim;
  await makeSteps(
    tx,
    picked,
    picked.map(({ id: jobId }, index) => {
      const session = claimOf(index).sessionId;
      return { jobId, event: { type: "claim", session }, actor: `session:${session}`, grant: claimOf(index) };
    }),
  );
  return picked.map(({ id: jobId, job }, index) => {
    const { sessionId, claimId } = claimOf(index);
    return { jobId, fence: job.fence + 1, sessionId, claimId, state: "starting" };
  });
}

const isOpenGrantOf = ({ sessionId, claimId, state }: HeldJob, claim: Claim): boolean =>
  state === "starting" && sessionId === claim.sessionId && claimId === claim.claimId;
