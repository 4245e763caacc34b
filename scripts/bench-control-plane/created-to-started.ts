import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { BenchSession, BenchStore } from "./plane";

/** Until a claim that was sent is parked. */
const PARK_MS = 30;

/**
 * Over HTTP, to a worker whose claim is parked: from the operator's request to the answer that the daemon may start, in ms.
 *
 * @param url of a copy of the control plane
 */
export async function createdToStarted(
  { deploymentId, datasourceId: id, operatorToken }: BenchStore,
  url: string,
  worker: BenchSession,
  name: string,
): Promise<number> {
  const ask = async (path: string, token: string, body: object) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { grants: { jobId: string; fence: number }[] };
  };
  const claim = ask("/worker/v1/claim", worker.token, { claimId: randomUUID(), freeSlots: 1, waitMs: 30_000 });
  await pause(PARK_MS);
  const at = performance.now();
  const job = { name, sourceId: id, sinkId: id, tables: ["t"] };
  const created = ask(`/api/v1/deployments/${deploymentId}/jobs`, operatorToken, job);
  const [grant] = (await claim).grants;
  if (!grant) throw new Error("the claim was answered without a job");
  const ref = { jobId: grant.jobId, fence: grant.fence };
  await ask("/worker/v1/started", worker.token, ref);
  const tookMs = performance.now() - at;
  await created;
  await ask("/worker/v1/report", worker.token, { ...ref, outcome: "completed", logTail: [] });
  return tookMs;
}
