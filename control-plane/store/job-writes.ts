import type { Pool } from "pg";
import { type Assignment, assignmentOf, type Connections, readHeldJobs, sendForConnections } from "./assignments";
import { recordAudit } from "./audit";
import { CatalogConflict } from "./catalog";
import type { Claim } from "./claim";
import { type Creation, conflictOf, insertJobs } from "./create";
import { type Transaction, transaction } from "./database";
import { type Decided, decide, foresee, type Readings, type Report, readFor, type Start, type Write } from "./decide";
import { answeringAsForeseen, type Foreseen } from "./foreseen";
import { inGroups } from "./group-commit";
import { failGrant } from "./holder";
import { type RunnableJob, updateJobs } from "./jobs";
import { readSlotsLeftBy, tellLeftSlots } from "./left-slots";
import type { ReadyJobs } from "./ready-jobs";
import type { Keyring } from "./seal";
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
  readonly assignment: Assignment;
  /** This claim has got it; otherwise it had, before. */
  readonly isNew: boolean;
}

/**
 * A job's creation and the three writes of each of its runs. Those of many operators and workers that come at once share their commits.
 * A write is `refused`, and changes nothing, where its token is not valid any more.
 */
export interface JobWrites {
  /** `granted` where a claim that came at the same time has got it. @throws CatalogConflict where a name is taken or a datasource does not exist. */
  readonly create: (creation: Creation) => Promise<"granted" | "waiting" | "refused">;
  /**
   * Gives pending jobs to a session, at most its free slots; the same claim id gets the same open grants again. A job whose passwords
   * cannot be opened has failed, and the others are granted.
   */
  readonly claim: (claim: Claim) => Promise<Claimed | "refused">;
  /** The daemon may be spawned: the job is held, wanted, and the session's lease has not run out. */
  readonly start: (start: Start) => Promise<"started" | "fenced" | "refused">;
  /** Takes a terminal report. One that was taken before is taken again and changes nothing. */
  readonly report: (report: Report) => Promise<"reported" | "fenced" | "refused">;
}

/** @param keyring opens the passwords of what is granted */
export function groupedJobWrites(pool: Pool, ready: ReadyJobs, keyring: Keyring): JobWrites {
  const submit = inGroups(async (writes: readonly Write[]) => {
    const { connections, ...done } = await writeTogether(pool, writes, ready, keyring);
    const written = { ...done, connections: await connections };
    return writes.map(() => written);
  }, mostJobsOf);
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
      const { read, decided, granted: jobs, connections } = await submit({ claim });
      if (!read.tokens.has(claim.tokenId)) return "refused";
      const granted: GrantedJob[] = [];
      const isNew = new Set(decided.dealt.steps.flatMap(({ jobId, grant }) => (grant === claim ? jobId : [])));
      for (const ref of decided.dealt.grantedTo(claim)) {
        const job = jobs.get(ref.jobId);
        const assignment = job && assignmentOf(job, connections);
        if (assignment instanceof Error) await failGrant(pool, claim.sessionId, ref, assignment);
        else if (assignment) granted.push({ ...ref, assignment, isNew: isNew.has(ref.jobId) });
      }
      return { session: read.sessions.get(claim.sessionId), granted, isMore: decided.dealt.isMoreFor(claim) };
    },
    start: async (start) => await said(start, { start }, "started"),
    report: async (report) => await said(report, { report }, "reported"),
  };
}

const mostJobsOf = ({ claim }: Write): number => claim?.slots ?? 1;

/** What came of writes that were made together. */
interface Written {
  readonly read: Readings;
  readonly decided: Decided;
  /** What the claims have got, by id. */
  readonly granted: ReadonlyMap<string, RunnableJob>;
  /** Of what they have got; known with the commit. */
  readonly connections: Promise<Connections>;
}

/** One journey to the database, commit included, where what is read can be foreseen and was; otherwise two, what is locked and read first. */
async function writeTogether(
  pool: Pool,
  writes: readonly Write[],
  ready: ReadyJobs,
  keyring: Keyring,
): Promise<Written> {
  const work = (foreseen?: Foreseen) =>
    transaction(pool, async (tx) => {
      const read = await readFor(foreseen ? answeringAsForeseen(tx, foreseen) : tx, writes, ready);
      return { read, ...(await write(tx, keyring, decide(writes, read))) };
    });
  const foreseen = foresee(writes);
  const written = foreseen && (await work(foreseen).catch(() => undefined));
  return written ?? (await work());
}

async function write(tx: Transaction, keyring: Keyring, decided: Decided): Promise<Omit<Written, "read">> {
  const { fresh, changes, entries, dealt } = decided;
  const told = tellLeftSlots(await readSlotsLeftBy(tx, changes.values()), entries.changed);
  const granted = [...dealt.jobs, ...(await readHeldJobs(tx, dealt.again))];
  insertJobs(tx, fresh, changes);
  const comes = new Set(fresh.map(({ row }) => row.id));
  updateJobs(
    tx,
    [...changes.values()].filter(({ id }) => !comes.has(id)),
  );
  const connections = sendForConnections(tx, keyring, granted);
  recordAudit(tx, ...entries.created, ...told);
  return { decided, granted: new Map(granted.map((job) => [job.id, job])), connections };
}
