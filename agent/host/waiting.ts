/** A wait that reached its end. The message names what was waited for. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/**
 * Runs `work` and gives up after `timeoutMs`: the signal it was handed is aborted and the result is a DeadlineError.
 * The returned promise settles at the deadline even if `work` ignores its signal. The signal may be one of `AbortSignal.any`'s, which
 * holds them weakly: unlike that of `AbortSignal.timeout` it is not collected before the deadline.
 */
export async function withDeadline<T>(
  what: string,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const late = new DeadlineError(`${what} did not finish within ${timeoutMs / 1000} s`);
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(late);
      abort.abort(late);
    }, timeoutMs);
  });
  try {
    return await Promise.race([work(abort.signal), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after `delayMs`, or as soon as `signal` is aborted; look at the signal to tell which. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal?.addEventListener("abort", done);
  });
}

/** Exponential backoff: the wait grows from `baseMs` and never passes `capMs`. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * The wait before attempt `attempt` + 1 (attempts count from 1): anywhere between nothing and the exponential step.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("full jitter")
 */
export function fullJitterMs(attempt: number, { baseMs, capMs }: Backoff, random: () => number = Math.random): number {
  return random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
}

export interface RetryOptions {
  readonly backoff: Backoff;
  /** Whether another attempt can help. */
  readonly retryable: (error: unknown) => boolean;
  /** No attempt starts after the signal. */
  readonly signal?: AbortSignal;
}

/** Repeats `work` until it succeeds, fails for good, or the signal ends the waiting; then the last error is thrown. */
export async function retry<T>(work: () => Promise<T>, { backoff, retryable, signal }: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted || !retryable(error)) throw error;
      await sleep(fullJitterMs(attempt, backoff), signal);
      if (signal?.aborted) throw error;
    }
  }
}
