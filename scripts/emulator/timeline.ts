import type { Scheduler } from "./scheduler";

/**
 * A value and what it was before, so that a read can be answered from the past.
 * https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
 */
export class Timeline<T> {
  readonly #changes: { readonly at: number; readonly value: T }[];

  constructor(
    private readonly scheduler: Scheduler,
    first: T,
  ) {
    this.#changes = [{ at: scheduler.now(), value: first }];
  }

  get current(): T {
    return (this.#changes.at(-1) as { value: T }).value;
  }

  set(change: Partial<T>): void {
    this.#changes.push({ at: this.scheduler.now(), value: { ...this.current, ...change } });
  }

  /** The value `staleMs` ago; undefined when it did not exist then. */
  seen(staleMs: number): T | undefined {
    if (staleMs <= 0) return this.current;
    const then = this.scheduler.now() - staleMs;
    for (let index = this.#changes.length - 1; index >= 0; index--) {
      const change = this.#changes[index];
      if (change && change.at <= then) return change.value;
    }
    return undefined;
  }
}
