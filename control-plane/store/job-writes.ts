import type { Pool } from "pg";
import type { Request } from "../protocol/messages";
import { type Claim, type GrantedJob, pickJobs, readHeldJobs } from "./claim";
import { type Transaction, transaction } from "./database";
import { inGroups } from "./group-commit";
import { type JobStep, lockJobs, makeSteps } from "./jobs";
import { lockLiveSessions, type Ref } from "./sessions";

/** A daemon that is about to be spawned. */
export interface Start extends Ref {
  readonly sessionId: string;
}

/** What a session says of a job's end. */
export type Report = Request<"report"> & { readonly sessionId: string };

/** The three writes of every run of a job. Those of many workers that come at once share their commits. */
export interface JobWrites {
  /** Gives pending jobs to a session, at most its free slots; the same claim id gets the same open grants again. */
  readonly claim: (claim: Claim) => Promise<GrantedJob[]>;
  /** The daemon may be spawned: the job is held, wanted, and the session's lease has not run out. */
  readonly start: (start: Start) => Promise<"started" | "fenced">;
  /** Takes a terminal report. One that was taken before is taken again and changes nothing. */
  readonly report: (report: Report) => Promise<"reported" | "fenced">;
}

export function groupedJobWrites(pool: Pool): JobWrites {
  const submit = inGroups((writes: readonly Write[]) => transaction(pool, (tx) => writeTogether(tx, writes)));
  return {
    claim: async (claim) => (await submit({ claim })).granted,
    start: async (start) => ((await submit({ start })).done ? "started" : "fenced"),
    report: async (report) => ((await submit({ report })).done ? "reported" : "fenced"),
  };
}

interface Write {
  readonly claim?: Claim;
  readonly start?: Start;
  readonly report?: Report;
}

interface Outcome {
  readonly granted: GrantedJob[];
  readonly done: boolean;
}

async function writeTogether(tx: Transaction, writes: readonly Write[]): Promise<Outcome[]> {
  const claims = writes.flatMap(({ claim }) => claim ?? []);
  const sessionsOf = (asking: readonly (Claim | Start)[]) => [...new Set(asking.map(({ sessionId }) => sessionId))];
  const starts = writes.flatMap(({ start }) => start ?? []);
  const reports = writes.flatMap(({ report }) => report ?? []);
  // Sent together, done in this order: leases are locked before jobs, and what a session holds is read after its lease was locked.
  const [live, named, held] = await Promise.all([
    lockLiveSessions(tx, sessionsOf([...claims, ...starts])),
    lockJobs(tx, [...new Set([...starts, ...reports].map(({ jobId }) => jobId))]),
    readHeldJobs(tx, sessionsOf(claims)),
  ]);
  const steps = new Map(
    writes.flatMap((write): [Write, JobStep][] => {
      const { start, report } = write;
      if (report) return [[write, reportStep(report)]];
      return start && live.has(start.sessionId) ? [[write, startStep(start)]] : [];
    }),
  );
  const picked = await pickJobs(tx, claims, live, held);
  const results = makeSteps(tx, [...named, ...picked.jobs], [...steps.values(), ...picked.steps]);

  const made = new Set([...steps.keys()].filter((_, index) => typeof results[index] !== "string"));
  return writes.map((write) => ({
    granted: write.claim ? picked.grantedTo(write.claim) : [],
    done: made.has(write),
  }));
}

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
