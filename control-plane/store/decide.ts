/** What comes of writes of jobs: what is read for them, and what is decided from it. */
import type { Request } from "../protocol/messages";
import type { AuditEntry } from "./audit";
import { type Claim, type Dealt, dealJobs, PICK, type Picked, pickJobs } from "./claim";
import {
  type Creation,
  entryOf,
  type Fresh,
  nothingInTheWayOf,
  type Obstacles,
  readObstacles,
  type Vetted,
  vet,
} from "./create";
import type { Queryable } from "./database";
import type { Foreseen } from "./foreseen";
import { type Change, type JobStep, type LockedJob, lockJobs, takeSteps } from "./jobs";
import type { ReadyJobs } from "./ready-jobs";
import { LEASES, lockLeases, type Ref, readSessions, SESSIONS, type SessionState } from "./sessions";
import { readValidTokens, STILL_VALID } from "./tokens";

/** What a worker writes with. */
interface Writer {
  readonly sessionId: string;
  readonly tokenId: string;
}

/** A daemon that is about to be spawned. */
export interface Start extends Ref, Writer {}

/** What a session says of a job's end. */
export type Report = Request<"report"> & Writer;

/** Of which one is given. */
export interface Write {
  readonly creation?: Creation;
  readonly claim?: Claim;
  readonly start?: Start;
  readonly report?: Report;
}

/** What is locked and read before anything is written. */
export interface Readings {
  readonly obstacles: Obstacles;
  /** Those that are valid. */
  readonly tokens: ReadonlySet<string>;
  /** Those of the sessions that claim or start whose lease is valid. */
  readonly live: ReadonlySet<string>;
  /** Those that claim, before they were granted anything. */
  readonly sessions: ReadonlyMap<string, SessionState>;
  /** Jobs that start or are reported. */
  readonly named: readonly LockedJob[];
  readonly picks: readonly Picked[];
}

/**
 * Sent together, done in this order: datasources are locked before leases and these before jobs, and what a session holds is read after
 * its lease was locked.
 */
export async function readFor(tx: Queryable, writes: readonly Write[], ready: ReadyJobs): Promise<Readings> {
  const { creations, claims, starts, reports } = byKind(writes);
  const [obstacles, tokens, live, sessions, named, picks] = await Promise.all([
    readObstacles(tx, creations),
    readValidTokens(tx, unique([...creations, ...claims, ...starts, ...reports], "tokenId")),
    lockLeases(tx, unique([...claims, ...starts], "sessionId")),
    readSessions(tx, unique(claims, "sessionId"), unique(claims, "claimId")),
    lockJobs(tx, unique([...starts, ...reports], "jobId")),
    pickJobs(tx, claims, ready),
  ]);
  return { obstacles, tokens, live, sessions, named, picks };
}

/**
 * What will be read for jobs that come to be, and for claims that were parked while there were none. Undefined for other writes, and
 * where several want the same name.
 */
export function foresee(writes: readonly Write[]): Foreseen | undefined {
  const { creations, claims, starts, reports } = byKind(writes);
  const seen = claims.flatMap((claim) => claim.seen ?? []);
  const names = new Set(creations.map(({ deploymentId, job }) => `${deploymentId}/${job.name}`));
  const hasOthers = starts.length + reports.length > 0 || seen.length < claims.length;
  if (creations.length === 0 || hasOthers || names.size < creations.length) return undefined;
  return new Map([
    ...nothingInTheWayOf(creations),
    [STILL_VALID, { rows: [...creations, ...claims].map(({ tokenId: id }) => ({ id })) }],
    [LEASES, { rows: seen.map(({ id }) => ({ id })) }],
    [SESSIONS, { rows: seen }],
    [PICK, { rows: [] }],
  ]);
}

/** What is to be written, and answered. */
export interface Decided {
  readonly created: Vetted["results"];
  readonly fresh: readonly Fresh[];
  readonly dealt: Dealt;
  /** Starts and reports that are taken. */
  readonly made: ReadonlySet<Start | Report>;
  /** By the job's id. */
  readonly changes: ReadonlyMap<string, Change>;
  /** Of the creations, and of the changes. */
  readonly entries: { readonly created: readonly AuditEntry[]; readonly changed: readonly AuditEntry[] };
}

export function decide(writes: readonly Write[], read: Readings): Decided {
  const { creations } = byKind(writes);
  const { tokens, live } = read;
  const steps = new Map<Start | Report, JobStep>();
  for (const { start, report } of writes) {
    if (report && tokens.has(report.tokenId)) steps.set(report, reportStep(report));
    if (start && tokens.has(start.tokenId) && live.has(start.sessionId)) steps.set(start, startStep(start));
  }
  const { fresh, results: created } = vet(creations, read.obstacles, tokens);
  const dealt = dealJobs(read.picks, fresh, read);
  const locked = [...fresh.map(({ row }) => row), ...read.named, ...dealt.jobs];
  const { results, changes, entries: changed } = takeSteps(locked, [...steps.values(), ...dealt.steps]);
  return {
    created,
    fresh,
    dealt,
    made: new Set([...steps.keys()].filter((_, index) => typeof results[index] !== "string")),
    changes,
    entries: { created: fresh.map(entryOf), changed },
  };
}

function byKind(writes: readonly Write[]) {
  return {
    creations: writes.flatMap(({ creation }) => creation ?? []),
    claims: writes.flatMap(({ claim }) => claim ?? []),
    starts: writes.flatMap(({ start }) => start ?? []),
    reports: writes.flatMap(({ report }) => report ?? []),
  };
}

const unique = <Key extends string>(all: readonly Readonly<Record<Key, string>>[], key: Key): string[] => [
  ...new Set(all.map((one) => one[key])),
];

function startStep({ sessionId: session, jobId, fence }: Start): JobStep {
  return { jobId, event: { type: "started", by: { session, fence } }, actor: `session:${session}` };
}

function reportStep({
  sessionId: session,
  jobId,
  fence,
  outcome,
  error,
  logTail,
  checkpoint,
  cleaned,
}: Report): JobStep {
  return {
    jobId,
    event: { type: "report", by: { session, fence }, outcome },
    actor: `session:${session}`,
    end: { error: error ?? null, logTail, checkpoint, cleaned: cleaned === true },
  };
}
