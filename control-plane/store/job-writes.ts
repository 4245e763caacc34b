import type { Pool } from "pg";
import type { Request } from "../protocol/messages";
import { type SealedAssignment, sendForAssignments } from "./assignments";
import { recordAudit } from "./audit";
import { CatalogConflict } from "./catalog";
import { type Claim, type Dealt, dealJobs, pickJobs } from "./claim";
import { type Creation, conflictOf, entriesOf, insertJobs, readObstacles, type Vetted, vet } from "./create";
import { type Transaction, transaction } from "./database";
import { inGroups } from "./group-commit";
import { type JobStep, lockJobs, takeSteps, updateJobs } from "./jobs";
import { tellLeftSlots } from "./left-slots";
import type { ReadyJobs } from "./ready-jobs";
import { lockLiveSessions, type Ref, readSessions, type SessionState } from "./sessions";
import { readValidTokens } from "./tokens";

/** What a worker writes with. */
interface Writer {
  readonly sessionId: string;
  readonly tokenId: string;
}

/** A daemon that is about to be spawned. */
export interface Start extends Ref, Writer {}

/** What a session says of a job's end. */
export type Report = Request<"report"> & Writer;

/** What comes of a claim. */
export interface Claimed {
  /** The session, before it was granted anything. */
  readonly session: SessionState | undefined;
  readonly granted: readonly GrantedJob[];
  /** There may be more jobs that the claimer could take. */
  readonly isMore: boolean;
}

export interface GrantedJob extends Ref {
  readonly assignment: SealedAssignment;
}

/**
 * A job's creation and the three writes of each of its runs. Those of many operators and workers that come at once share their commits.
 * A write is `refused`, and changes nothing, where its token is not valid any more.
 */
export interface JobWrites {
  /** `granted` where a claim that came at the same time has got it. @throws CatalogConflict where a name is taken or a datasource does not exist. */
  readonly create: (creation: Creation) => Promise<"granted" | "waiting" | "refused">;
  /** Gives pending jobs to a session, at most its free slots; the same claim id gets the same open grants again. */
  readonly claim: (claim: Claim) => Promise<Claimed | "refused">;
  /** The daemon may be spawned: the job is held, wanted, and the session's lease has not run out. */
  readonly start: (start: Start) => Promise<"started" | "fenced" | "refused">;
  /** Takes a terminal report. One that was taken before is taken again and changes nothing. */
  readonly report: (report: Report) => Promise<"reported" | "fenced" | "refused">;
}

export function groupedJobWrites(pool: Pool, ready: ReadyJobs): JobWrites {
  const submit = inGroups(async (writes: readonly Write[]) => {
    const { assignments, ...done } = await transaction(pool, (tx) => writeTogether(tx, writes, ready));
    const assigned = new Map((await assignments).map((assignment) => [assignment.id, assignment]));
    return writes.map(() => ({ ...done, assigned }));
  });
  const said = async <Word extends string>(write: Start | Report, asked: Write, word: Word) => {
    const { tokens, made } = await submit(asked);
    if (!tokens.has(write.tokenId)) return "refused";
    return made.has(write) ? word : "fenced";
  };
  return {
    create: async (creation) => {
      const { created, dealt } = await submit({ creation }).catch((error: unknown) => {
        throw conflictOf(creation, error);
      });
      const made = created.get(creation.id);
      if (made instanceof CatalogConflict) throw made;
      if (made !== "made") return "refused";
      return dealt.jobs.some(({ id }) => id === creation.id) ? "granted" : "waiting";
    },
    claim: async (claim) => {
      const { tokens, sessions, dealt, assigned } = await submit({ claim });
      if (!tokens.has(claim.tokenId)) return "refused";
      const granted = dealt.grantedTo(claim).flatMap((ref) => {
        const assignment = assigned.get(ref.jobId);
        return assignment ? [{ ...ref, assignment }] : [];
      });
      return { session: sessions.get(claim.sessionId), granted, isMore: dealt.isMoreFor(claim) };
    },
    start: async (start) => await said(start, { start }, "started"),
    report: async (report) => await said(report, { report }, "reported"),
  };
}

interface Write {
  readonly creation?: Creation;
  readonly claim?: Claim;
  readonly start?: Start;
  readonly report?: Report;
}

/** What came of writes that were made together. */
interface Written {
  readonly created: Vetted["results"];
  /** Those that are valid. */
  readonly tokens: ReadonlySet<string>;
  /** Those that claim, before they were granted anything. */
  readonly sessions: ReadonlyMap<string, SessionState>;
  readonly dealt: Dealt;
  /** Starts and reports that were taken. */
  readonly made: ReadonlySet<Start | Report>;
  /** Of all jobs that were granted; known with the commit. */
  readonly assignments: Promise<readonly SealedAssignment[]>;
}

/** Two journeys to the database: what is locked and read, then what comes of it and the commit. */
async function writeTogether(tx: Transaction, writes: readonly Write[], ready: ReadyJobs): Promise<Written> {
  const creations = writes.flatMap(({ creation }) => creation ?? []);
  const claims = writes.flatMap(({ claim }) => claim ?? []);
  const starts = writes.flatMap(({ start }) => start ?? []);
  const reports = writes.flatMap(({ report }) => report ?? []);
  // Sent together, done in this order: datasources are locked before leases and these before jobs, and what a session holds is read
  // after its lease was locked.
  const [obstacles, tokens, live, sessions, named, picks] = await Promise.all([
    readObstacles(tx, creations),
    readValidTokens(tx, unique([...creations, ...claims, ...starts, ...reports], "tokenId")),
    lockLiveSessions(tx, unique([...claims, ...starts], "sessionId")),
    readSessions(tx, unique(claims, "sessionId")),
    lockJobs(tx, unique([...starts, ...reports], "jobId")),
    pickJobs(tx, claims, ready),
  ]);
  const steps = new Map<Start | Report, JobStep>();
  for (const { start, report } of writes) {
    if (report && tokens.has(report.tokenId)) steps.set(report, reportStep(report));
    if (start && tokens.has(start.tokenId) && live.has(start.sessionId)) steps.set(start, startStep(start));
  }
  const { fresh, results: created } = vet(creations, obstacles, tokens);
  const dealt = dealJobs(picks, fresh, { live, sessions, tokens });
  const locked = [...fresh.map(({ row }) => row), ...named, ...dealt.jobs];
  const { results, changes, entries } = takeSteps(locked, [...steps.values(), ...dealt.steps]);
  const told = await tellLeftSlots(tx, changes.values(), entries);
  insertJobs(tx, fresh, changes);
  const comes = new Set(fresh.map(({ row }) => row.id));
  updateJobs(
    tx,
    [...changes.values()].filter(({ id }) => !comes.has(id)),
  );
  recordAudit(tx, ...fresh.flatMap(entriesOf), ...told);
  const granted = claims.flatMap((claim) =>
    dealt.grantedTo(claim).map((ref) => ({ ...ref, sessionId: claim.sessionId })),
  );
  return {
    created,
    tokens,
    sessions,
    dealt,
    made: new Set([...steps.keys()].filter((_, index) => typeof results[index] !== "string")),
    assignments: sendForAssignments(tx, granted),
  };
}

const unique = <Key extends string>(all: readonly Readonly<Record<Key, string>>[], key: Key): string[] => [
  ...new Set(all.map((one) => one[key])),
];

function startStep({ sessionId: session, jobId, fence }: Start): JobStep {
  return { jobId, event: { type: "started", by: { session, fence } }, actor: `session:${session}` };
}

function reportStep({ sessionId: session, jobId, fence, outcome, error, logTail, checkpoint }: Report): JobStep {
  return {
    jobId,
    event: { type: "report", by: { session, fence }, outcome },
    actor: `session:${session}`,
    end: { error: error ?? null, logTail, checkpoint },
  };
}
