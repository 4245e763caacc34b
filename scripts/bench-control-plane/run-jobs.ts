import { randomUUID } from "node:crypto";
import type { JobWrites } from "../../control-plane/store/job-writes";
import type { BenchSession, BenchStore } from "./plane";

export interface Run {
  readonly jobs: number;
  /** How long the claim took. */
  readonly claimMs: number;
}

export interface RunProps {
  readonly slots: number;
  /** Whether the control plane is told of each job's start, as a worker does before it spawns the daemon. */
  readonly tellsStarts: boolean;
}

/** Jobs as the protocol has them: claimed at once, each reported; with fence, lease and audit log. */
export async function runJobs(
  writes: JobWrites,
  { deploymentId }: BenchStore,
  { id: sessionId, tokenId }: BenchSession,
  { slots, tellsStarts }: RunProps,
): Promise<Run> {
  const writer = { sessionId, tokenId };
  const placement = { deploymentId, pool: "default", labels: {} };
  const at = performance.now();
  const claimed = await writes.claim({ ...writer, ...placement, claimId: randomUUID(), slots, grantMs: 60_000 });
  const claimMs = performance.now() - at;
  if (claimed === "refused") throw new Error("a claim was refused");
  const held = claimed.granted.map(({ jobId, fence }) => ({ ...writer, jobId, fence }));
  if (tellsStarts) await Promise.all(held.map(writes.start));
  const reported = await Promise.all(held.map((job) => writes.report({ ...job, outcome: "completed", logTail: [] })));
  if (reported.some((said) => said !== "reported")) throw new Error("a job's completion was not taken");
  return { jobs: held.length, claimMs };
}
