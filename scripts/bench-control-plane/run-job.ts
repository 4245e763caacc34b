import { randomUUID } from "node:crypto";
import type { JobWrites } from "../../control-plane/store/job-writes";
import type { BenchSession, BenchStore } from "./plane";

/**
 * A job as the protocol has it: claimed, said to start, reported; three commits with fence, lease and audit log. Gives how long the claim
 * took, in ms; undefined where there was no job.
 */
export async function runJob(
  writes: JobWrites,
  { deploymentId }: BenchStore,
  { id: sessionId, tokenId }: BenchSession,
): Promise<number | undefined> {
  const writer = { sessionId, tokenId };
  const placement = { deploymentId, pool: "default", labels: {} };
  const at = performance.now();
  const claim = { ...writer, ...placement, claimId: randomUUID(), slots: 1, grantMs: 60_000 };
  const claimed = await writes.claim(claim);
  const tookMs = performance.now() - at;
  if (claimed === "refused") throw new Error("a claim was refused");
  const [job] = claimed.granted;
  if (!job) return undefined;
  const ref = { jobId: job.jobId, fence: job.fence };
  await writes.start({ ...writer, ...ref });
  await writes.report({ ...writer, ...ref, outcome: "completed", logTail: [] });
  return tookMs;
}
