/** Which jobs the claims of a group get. */
import { keyOf, mayTake, type Placement } from "../lease/placement";
import { refOf } from "../protocol/job-ref";
import type { Held } from "./assignments";
import type { Fresh } from "./create";
import type { Prepared, Queryable } from "./database";
import { type JobStep, RUNNABLE_COLUMNS, type RunnableJob, readRunnable } from "./jobs";
import type { ReadyJobs } from "./ready-jobs";
import type { Ref, SessionState } from "./sessions";

export interface Claim extends Placement {
  readonly sessionId: string;
  readonly tokenId: string;
  readonly claimId: string;
  readonly slots: number;
  readonly grantMs: number;
  /** Its session as it was when the claim was parked. @default - it was not */
  readonly seen?: SessionState | undefined;
}

/**
 * Picks in the order of priority and waiting time. Only rows of jobs are locked, here as everywhere, so that no two
 * transactions wait for each other. `coalesce` hides from the planner how few of all jobs are pending: it would read and sort everything
 * that is ready rather than walk the index until it has enough.
 */
export const PICK: Prepared = {
  name: "pick-jobs",
  text: `
  select ${RUNNABLE_COLUMNS} from ready_jobs r join jobs j on j.id = r.job_id
  where r.deployment_id = $1 and r.pool = $2 and coalesce(r.labels <@ $3::jsonb, false) and r.not_before between $4 and now()
    and coalesce(j.state = 'pending', false)
  order by r.priority, r.not_before, r.job_id
  limit $5
  for update of j skip locked`,
};

/** Pending jobs that are locked for claims of the same placement. */
export interface Picked {
  readonly claims: readonly Claim[];
  readonly jobs: readonly RunnableJob[];
}

/**
 * Locks jobs for claims, those of the same placement together, before it is known which of them may have any. What nobody gets is let
 * go with the end of the transaction.
 */
export async function pickJobs(tx: Queryable, claims: readonly Claim[], ready: ReadyJobs): Promise<Picked[]> {
  return await Promise.all(
    alikeOf(claims).map(async (claims) => {
      const placement = claims[0] as Claim;
      const { deploymentId, pool, labels } = placement;
      const values = [deploymentId, pool, JSON.stringify(labels), ready.floor(placement), slotsOf(claims)];
      return { claims, jobs: await readRunnable(tx, PICK, values) };
    }),
  );
}

/** Those of the same placement together, one that was repeated once. */
export function alikeOf(claims: readonly Claim[]): Claim[][] {
  const alike = new Map<string, Claim[]>();
  for (const claim of new Map(claims.map((claim) => [idOf(claim), claim])).values()) {
    const placement = keyOf(claim);
    alike.set(placement, [...(alike.get(placement) ?? []), claim]);
  }
  return [...alike.values()];
}

/** Whose claims may be granted: sessions whose leases are valid and locked, what they hold, and tokens that are valid. */
export interface Claimants {
  readonly live: ReadonlySet<string>;
  readonly sessions: ReadonlyMap<string, SessionState>;
  readonly tokens: ReadonlySet<string>;
}

/** What claims get, each job with the step that gives it to its claimer. */
export interface Dealt {
  readonly jobs: readonly RunnableJob[];
  readonly steps: readonly JobStep[];
  /** What claims were granted before, and get again. */
  readonly again: readonly Held[];
  /** The same claim id gets the same open grants again. */
  grantedTo(claim: Claim): readonly Ref[];
  /** Whether there may be more jobs that the claimer could take. */
  isMoreFor(claim: Claim): boolean;
}

/**
 * Gives each claim what it may have, at most the free slots of its session: of what was picked for it, then of jobs that come to be in the
 * same transaction.
 */
export function dealJobs(
  picks: readonly Picked[],
  fresh: readonly Fresh[],
  { live, sessions, tokens }: Claimants,
): Dealt {
  const jobs: RunnableJob[] = [];
  const steps: JobStep[] = [];
  const again: Held[] = [];
  const grants = new Map<string, readonly Ref[]>();
  const satisfied = new Set<string>();
  const taken = new Map([...sessions].map(([id, { held }]) => [id, held]));
  const coming = new Set(fresh.filter(({ creation }) => creation.run).sort(bySooner));
  const takeComing = (claim: Claim, most: number): RunnableJob[] => {
    const fitting = [...coming].filter(({ creation: { deploymentId, job } }) =>
      mayTake(claim, { ...job, deploymentId }),
    );
    return fitting.slice(0, most).map((one) => {
      coming.delete(one);
      return one.row;
    });
  };
  for (const { claims, jobs: picked } of picks) {
    const left = [...picked];
    for (const claim of claims) {
      const { sessionId: session } = claim;
      const open = openGrants(sessions.get(session), claim);
      again.push(...open.map((ref) => ({ ...ref, sessionId: session })));
      const mayClaim = open.length === 0 && tokens.has(claim.tokenId) && live.has(session);
      const mayHave = mayClaim ? freeSlots(sessions.get(session), taken) : 0;
      const most = Math.min(claim.slots, mayHave);
      const waited = left.splice(0, most);
      const got = [...waited, ...takeComing(claim, most - waited.length)];
      taken.set(session, (taken.get(session) ?? 0) + got.length);
      grants.set(idOf(claim), [...open, ...got.map(({ id, job }) => ({ jobId: id, fence: job.fence + 1 }))]);
      jobs.push(...got);
      for (const { id: jobId } of got) {
        steps.push({ jobId, event: { type: "claim", session }, actor: `session:${session}`, grant: claim });
      }
    }
    const gaveAll = picked.length < slotsOf(claims) && left.length === 0;
    if (gaveAll) for (const claim of claims) satisfied.add(idOf(claim));
  }
  return {
    jobs,
    steps,
    again,
    grantedTo: (claim) => grants.get(idOf(claim)) ?? [],
    isMoreFor: (claim) => !satisfied.has(idOf(claim)),
  };
}

const bySooner = (one: Fresh, other: Fresh): number => one.creation.job.priority - other.creation.job.priority;

function freeSlots(session: SessionState | undefined, taken: ReadonlyMap<string, number>): number {
  if (session?.state !== "open" || session.draining) return 0;
  return Math.max(0, session.slots - (taken.get(session.id) ?? 0));
}

/** Grants of the claim that were not started yet, which it may have been answered before. */
export function openGrants(session: SessionState | undefined, { claimId: claim }: Pick<Claim, "claimId">): Ref[] {
  return (session?.open ?? []).filter(({ claimId }) => claimId === claim).map(refOf);
}

const idOf = ({ sessionId, claimId }: Claim): string => `${sessionId}/${claimId}`;
const slotsOf = (claims: readonly Claim[]): number => claims.reduce((sum, { slots }) => sum + slots, 0);
