import { seededRandom } from "../../../../scripts/seeded-random";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

/** True time and what happens in it: a discrete-event scheduler with a seeded random source. */
export class World {
  nowMs = 0;
  private readonly random: () => number;
  private readonly heap: Event[] = [];
  private order = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  after(delayMs: number, happen: () => void): void {
    this.at(this.nowMs + delayMs, happen);
  }

  at(atMs: number, happen: () => void): void {
    this.push({ atMs, order: this.order++, happen });
  }

  runUntil(endMs: number): void {
    while (this.step(endMs));
  }

  /** Lets the next thing happen. False when there is none until `endMs`; then that is the time. */
  step(endMs: number): boolean {
    const next = this.heap[0];
    if (!next || next.atMs > endMs) {
      this.nowMs = endMs;
      return false;
    }
    this.pop();
    this.nowMs = next.atMs;
    next.happen();
    return true;
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  between(min: number, max: number): number {
    return min + (max - min) * this.random();
  }

  /** Time to the next event of a kind that happens once per `meanMs` on average. */
  exponential(meanMs: number): number {
    return -Math.log(1 - this.random()) * meanMs;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item;
  }

  /** Lets something happen once per `meanMs` on average, until that time. */
  repeat(meanMs: number, happen: () => void, untilMs = Number.POSITIVE_INFINITY): void {
    this.after(this.exponential(meanMs), () => {
      if (this.nowMs >= untilMs) return;
      happen();
      this.repeat(meanMs, happen, untilMs);
    });
  }

  private push(event: Event): void {
    const heap = this.heap;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Event;
      if (!before(event, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  private pop(): void {
    const heap = this.heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!before(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
  }
}

const before = (one: Event, other: Event): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
