import { RateLimit } from "../../../control-plane/api/rate-limit";

const MOST_KEYS = 50_000;

describe("limits of requests", () => {
  it("allow a burst, then so many a second, for each key by itself, and no larger burst after a rest", () => {
    let nowMs = 0;
    const limit = new RateLimit(2, 3, () => nowMs);

    expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([0, 0, 0, 500]);
    expect(limit.take("b")).toBe(0);
    nowMs = 500;
    expect([limit.take("a"), limit.take("a")]).toEqual([0, 500]);
    nowMs = 3_600_000;
    expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([0, 0, 0, 500]);
  });

  it("forget the key that has rested longest for one too many", () => {
    const limit = new RateLimit(1, 1, () => 0);
    const keys = Array.from({ length: MOST_KEYS }, (_, index) => `key-${index}`);
    for (const key of keys) limit.take(key);

    expect(limit.take("key-0")).toBe(1_000);
    expect(limit.take("one too many")).toBe(0);
    expect(limit.take("key-0")).toBe(1_000);
    expect(limit.take("key-1")).toBe(0);
  });
});
