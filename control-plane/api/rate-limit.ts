/** A token bucket per key: so many requests a second, with a burst; keys that rest are forgotten. */
export class RateLimit {
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

  private refilled(key: string): { tokens: number; atMs: number } {
    const nowMs = this.now();
    const bucket = this.buckets.get(key) ?? { tokens: this.burst, atMs: nowMs };
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * this.perSecond);
    bucket.atMs = nowMs;
    this.buckets.set(key, bucket);
    if (this.buckets.size > 50_000) this.forgetRested(nowMs);
    return bucket;
  }

  private forgetRested(nowMs: number): void {
    const restedMs = (this.burst / this.perSecond) * 1_000;
    for (const [key, { atMs }] of this.buckets) if (nowMs - atMs > restedMs) this.buckets.delete(key);
  }
}
