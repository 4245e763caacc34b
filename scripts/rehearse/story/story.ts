import type { Happening } from "./happening";

type Untimed<T> = T extends unknown ? Omit<T, "atMs"> : never;

/** Everything that happened, in the order in which it did: what a rehearsal shows and reports follows from it alone. */
export class Story {
  readonly #happenings: Happening[] = [];
  readonly #listeners: ((happening: Happening) => void)[] = [];
  readonly #startMs: number;

  /** @param now milliseconds, never going back */
  constructor(private readonly now: () => number = () => performance.now()) {
    this.#startMs = now();
  }

  get happenings(): readonly Happening[] {
    return this.#happenings;
  }

  /** Milliseconds since it began. */
  get elapsedMs(): number {
    return Math.round(this.now() - this.#startMs);
  }

  tell(happening: Untimed<Happening>): void {
    const told = { atMs: this.elapsedMs, ...happening } as Happening;
    this.#happenings.push(told);
    for (const listener of this.#listeners) listener(told);
  }

  onTold(listener: (happening: Happening) => void): void {
    this.#listeners.push(listener);
  }
}
