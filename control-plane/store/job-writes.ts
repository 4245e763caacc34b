import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import type { Request } from "../protocol/messages";
import type { CatalogConflict } from "./catalog";
import { type Claim, type GrantedJob, pickJobs, readHeldJobs } from "./claim";
import { type Creation, createJobs } from "./create";
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

/** A job's creation and the three writes of each of its runs. Those of many operators and workers that come at once share their commits. */
export interface JobWrites {
  /** Gives the new job's id. @throws CatalogConflict where a name is taken or a datasource does not exist. */
  readonly create: (creation: Omit<Creation, "id">) => Promise<string>;
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
    create: async (creation) => {
      const { created } = await submit({ create: { ...creation, id: randomUUID() } });
      if (typeof created !== "string") throw created;
      return created;
    },
    claim: async (claim) => (await submit({ claim })).granted,
    start: async (start) => ((await submit({ start })).done ? "started" : "fenced"),
    report: async (report) => ((await submit({ report })).done ? "reported" : "fenced"),
  };
}

interface Write {
  readonly create?: Creation;
  readonly claim?: Claim;
  readonly start?: Start;
  readonly report?: Report;
}

interface Outcome {
  /** Of a creation alone. */
  readonly created: string | CatalogConflict | undefined;
  readonly granted: GrantedJob[];
  readonly done: boolean;
}

async function writeTogether(tx: Transaction, writes: readonly Write[]): Promise<Outcome[]> {
  const creations = writes.flatMap(({ create }) => create ?? []);
  const claims = writes.flatMap(({ claim }) => claim ?? []);
  const sessionsOf = (asking: readonly (Claim | Start)[]) => [...new Set(asking.map(({ sessionId }) => sessionId))];
  const starts = writes.flatMap(({ start }) => start ?? []);
  const reports = writes.flatMap(({ report }) => report ?? []);
  // Sent together, done in this order: datasources are locked before leases and these before jobs, and what a session holds is read
  // after its lease was locked.
  const [created, live, named, held] = await Promise.all([
    createJobs(tx, creations),
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
  const locked = [...created.jobs, ...named, ...picked.jobs];
  const results = makeSteps(tx, locked, [...steps.values(), ...created.steps, ...picked.steps], created.entries);

  const made = new Set([...steps.keys()].filter((_, index) => typeof results[index] !== "string"));
  return writes.map((write) => ({
    created: write.create && created.results.get(write.create.id),
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
