import { keepAtMost } from "./keep-at-most";

/** Keys that a limit remembers; the one that has rested longest is forgotten for a new one, and begins anew. */
const MOST_KEYS = 50_000;

/** A token bucket per key: so many requests a second, with a burst. */
export class RateLimit {
  /** Those that were used last come last. */
  private readonly buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Takes a token. Zero, or how long to wait for the next one in ms. */
  take(key: string): number {
    const bucket = this.refilled(key);
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / this.perSecond) * 1_000);
    bucket.tokens -= 1;
    return 0;
  }

  /** Gives back a token that was taken. */
  giveBack(key: string): void {
    this.refilled(key).tokens += 1;
  }

  private refilled(key: string): { tokens: number; atMs: number } {
    const nowMs = this.now();
    const bucket = this.buckets.get(key) ?? { tokens: this.burst, atMs: nowMs };
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * this.perSecond);
    bucket.atMs = nowMs;
    this.buckets.delete(key);
    this.buckets.set(key, bucket);
    keepAtMost(MOST_KEYS, this.buckets);
    return bucket;
  }
}
