import { isDeepStrictEqual } from "node:util";
import type { Pool } from "pg";
import { type SealedAssignment, sendForAssignments } from "./assignments";
import { recordAudit } from "./audit";
import { CatalogConflict } from "./catalog";
import type { Claim } from "./claim";
import { type Creation, conflictOf, insertJobs } from "./create";
import { type Transaction, transaction } from "./database";
import { type Decided, decide, foresee, type Readings, type Report, readFor, type Start, type Write } from "./decide";
import { inGroups } from "./group-commit";
import { updateJobs } from "./jobs";
import { tellLeftSlots } from "./left-slots";
import type { ReadyJobs } from "./ready-jobs";
import type { Ref, SessionState } from "./sessions";

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
    const { assignments, ...done } = await writeTogether(pool, writes, ready);
    const assigned = new Map((await assignments).map((assignment) => [assignment.id, assignment]));
    return writes.map(() => ({ ...done, assigned }));
  });
  const said = async <Word extends string>(write: Start | Report, asked: Write, word: Word) => {
    const { read, decided } = await submit(asked);
    if (!read.tokens.has(write.tokenId)) return "refused";
    return decided.made.has(write) ? word : "fenced";
  };
  return {
    create: async (creation) => {
      const { decided } = await submit({ creation }).catch((error: unknown) => {
        throw conflictOf(creation, error);
      });
      const { created, dealt } = decided;
      const made = created.get(creation.id);
      if (made instanceof CatalogConflict) throw made;
      if (made !== "made") return "refused";
      return dealt.jobs.some(({ id }) => id === creation.id) ? "granted" : "waiting";
    },
    claim: async (claim) => {
      const { read, decided, assigned } = await submit({ claim });
      if (!read.tokens.has(claim.tokenId)) return "refused";
      const granted = decided.dealt.grantedTo(claim).flatMap((ref) => {
        const assignment = assigned.get(ref.jobId);
        return assignment ? [{ ...ref, assignment }] : [];
      });
      return { session: read.sessions.get(claim.sessionId), granted, isMore: decided.dealt.isMoreFor(claim) };
    },
    start: async (start) => await said(start, { start }, "started"),
    report: async (report) => await said(report, { report }, "reported"),
  };
}

/** What came of writes that were made together. */
interface Written {
  readonly read: Readings;
  readonly decided: Decided;
  /** Of all jobs that were granted; known with the commit. */
  readonly assignments: Promise<readonly SealedAssignment[]>;
}

/**
 * Two journeys to the database: what is locked and read, then what comes of it and the commit. What can be foreseen is written in the
 * first, and committed when that is what was read; otherwise nothing was, and it is read first.
 */
async function writeTogether(pool: Pool, writes: readonly Write[], ready: ReadyJobs): Promise<Written> {
  const foreseen = foresee(writes);
  const written = foreseen && (await writeAsForeseen(pool, writes, ready, foreseen).catch(() => undefined));
  if (written) return written;
  return await transaction(pool, async (tx) => {
    const read = await readFor(tx, writes, ready);
    return { read, ...(await write(tx, decide(writes, read))) };
  });
}

/** @throws Error when it was read otherwise, or could not be written: nothing is changed then. */
async function writeAsForeseen(
  pool: Pool,
  writes: readonly Write[],
  ready: ReadyJobs,
  foreseen: Readings,
): Promise<Written> {
  return await transaction(pool, async (tx) => {
    const [read, written] = await Promise.all([readFor(tx, writes, ready), write(tx, decide(writes, foreseen))]);
    if (!isDeepStrictEqual(read, foreseen)) throw new Error("what was read is not what was foreseen");
    return { read, ...written };
  });
}

async function write(tx: Transaction, decided: Decided): Promise<Omit<Written, "read">> {
  const { fresh, changes, entries, granted } = decided;
  const told = await tellLeftSlots(tx, changes.values(), entries.changed);
  insertJobs(tx, fresh, changes);
  const comes = new Set(fresh.map(({ row }) => row.id));
  updateJobs(
    tx,
    [...changes.values()].filter(({ id }) => !comes.has(id)),
  );
  recordAudit(tx, ...entries.created, ...told);
  return { decided, assignments: sendForAssignments(tx, granted) };
}
