import { HEALTHY, type NodeHealth, unhealthy } from "../probe";

/** The answer of a check that must come in time; a check that throws is a node that is not well. */
export async function bounded(timeoutMs: number, check: (signal: AbortSignal) => Promise<void>): Promise<NodeHealth> {
  const signal = AbortSignal.timeout(timeoutMs);
  const late = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error(`no answer within ${timeoutMs} ms`)), { once: true });
  });
  try {
    await Promise.race([check(signal), late]);
    return HEALTHY;
  } catch (error) {
    return unhealthy(signal.aborted ? `no answer within ${timeoutMs} ms` : messageOf(error));
  }
}

/** fetch says what went wrong in its cause. */
function messageOf(error: unknown): string {
  const { cause, message } = error as { cause?: { message?: string }; message?: string };
  return cause?.message ?? message ?? String(error);
}
