import { groupedJobWrites } from "../../control-plane/store/job-writes";
import { ReadyJobs } from "../../control-plane/store/ready-jobs";
import { type BenchStore, openSessions, putJobs } from "./plane";
import { runJobs } from "./run-jobs";
import { steadily } from "./steadily";

const CLAIMS_PER_SECOND = 100;
/** As often as a copy looks for jobs whose time has come. */
const LOOK_MS = 1_000;

/** How long so many claims take, a hundred a second, in ms; each is of a session of its own, whose job starts and ends. */
export async function claimTimes(store: BenchStore, prefix: string, claims: number): Promise<number[]> {
  const sessions = await openSessions(store, claims);
  await putJobs(store, prefix, claims);
  const ready = new ReadyJobs(store.pool);
  const writes = groupedJobWrites(store.pool, ready, store.keyring);
  const looks = setInterval(() => void ready.readAll(), LOOK_MS);
  try {
    return await steadily(CLAIMS_PER_SECOND, sessions, async (session) => {
      const { jobs, claimMs } = await runJobs(writes, store, session, { slots: 1, tellsStarts: true });
      if (jobs === 0) throw new Error("a claim got nothing");
      return claimMs;
    });
  } finally {
    clearInterval(looks);
  }
}
