import { seededRandom } from "../seeded-random";

/** Choices that are the same for the same seed, on every machine. */
export interface Choices {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number;
  oneOf<T>(items: readonly T[]): T;
}

export function seededChoices(seed: number): Choices {
  const next = seededRandom(seed);
  return {
    next,
    between: (min, max) => min + Math.floor(next() * (max - min + 1)),
    oneOf: (items) => {
      const item = items[Math.floor(next() * items.length)];
      if (item === undefined) throw new Error("there is nothing to choose from");
      return item;
    },
  };
}
