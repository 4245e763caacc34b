import { Token } from "cdktf";

/** How many workers a pool has; numbers may be tokens. */
export interface PoolSize {
  readonly min: number;
  readonly max: number;
  /**
   * Workers at creation; from then on the number belongs to the scaling policies.
   * @default - the least
   */
  readonly initial?: number;
}

/** @throws Error naming the pool and both values when the numbers contradict each other. */
export function requireSize(pool: string, { min, max, initial }: PoolSize): void {
  if (Token.isUnresolved(min) || Token.isUnresolved(max) || Token.isUnresolved(initial)) {
    return;
  }
  if (min > max) {
    throw new Error(`${pool}: minimum size (${min}) should be <= maximum size (${max})`);
  }
  if (initial !== undefined && (initial < min || initial > max)) {
    throw new Error(`${pool}: initial size (${initial}) should be from ${min} to ${max}`);
  }
}
