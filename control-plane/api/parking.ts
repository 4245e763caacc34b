import { keyOf, mayTake, type Placement } from "../lease/placement";
import type { Leaving } from "./delivery";

/** A worker that asks for jobs, or for orders alone. */
export interface Asking {
  readonly sessionId: string;
  /** Of the jobs that it could take; undefined where it takes none. */
  readonly placement: Placement | undefined;
}

/** Jobs of one placement that wait to be claimed. */
export interface Ready {
  readonly placement: Placement;
  /** Claims that were woken for them and have not asked for jobs yet. */
  awake: number;
}

/** Why a claim is parked no longer: there is news for its session, or jobs; or the time is up, or the asker has gone. */
export type Ending = { readonly why: "news" | "over" } | { readonly why: "jobs"; readonly ready: Ready };

/** Claims of workers that may take the same jobs, those that have waited longest first. */
interface Peers {
  readonly placement: Placement;
  readonly claims: Set<Parked>;
}

/** Claims that wait. Those that have waited longest are woken first. */
export class Parking {
  /** By the key of their placement. */
  private readonly peers = new Map<string, Peers>();
  private readonly bySession = new Map<string, readonly Parked[]>();
  /** Sessions with news that had nothing parked when it came: their claim may be on its way. */
  private readonly missed = new Set<string>();
  private parkedSoFar = 0;
  private isClosed = false;
  size = 0;

  /** Not an async function, nor is who calls it: each would keep half a KiB for each claim that waits. */
  park({ sessionId, placement }: Asking, waitMs: number, gone: Leaving): Promise<Ending> {
    if (this.isClosed || gone.aborted || waitMs <= 0) return Promise.resolve({ why: "over" });
    if (this.missed.delete(sessionId)) return Promise.resolve({ why: "news" });
    return new Promise((resolve) => {
      const parked = new Parked(
        this,
        this.parkedSoFar++,
        sessionId,
        placement && this.peersOf(placement),
        gone,
        resolve,
      );
      parked.wait(waitMs);
      parked.peers?.claims.add(parked);
      this.bySession.set(sessionId, [...(this.bySession.get(sessionId) ?? []), parked]);
      this.size += 1;
    });
  }

  /** Wakes what a session has parked; where that is nothing, its next claim does not wait. */
  wakeSession(sessionId: string): void {
    const waiting = this.bySession.get(sessionId);
    if (!waiting) this.missed.add(sessionId);
    for (const parked of waiting ?? []) parked.end({ why: "news" });
  }

  /** Those that have claims parked. */
  sessions(): string[] {
    return [...this.bySession.keys()];
  }

  /** News is forgotten for which no claim came. */
  forgetMissed(): void {
    this.missed.clear();
  }

  /** Wakes as many claims as there are jobs that no claim was woken for yet. */
  wakeFor(ready: Ready, jobs: number): void {
    const wanted = jobs - ready.awake;
    if (wanted <= 0) return;
    const able = [...this.peers.values()].filter(({ placement }) => mayTake(placement, ready.placement));
    const first = able.flatMap(({ claims }) => firstOf(claims, wanted)).sort((one, other) => one.number - other.number);
    for (const parked of first.slice(0, wanted)) {
      ready.awake += 1;
      parked.end({ why: "jobs", ready });
    }
  }

  /** Nothing is parked any more. */
  close(): void {
    this.isClosed = true;
    for (const parked of [...this.bySession.values()].flat()) parked.leave();
  }

  /** A claim does not wait any more. */
  forget(parked: Parked): void {
    const { sessionId, peers } = parked;
    this.size -= 1;
    peers?.claims.delete(parked);
    if (peers?.claims.size === 0) this.peers.delete(keyOf(peers.placement));
    const others = this.bySession.get(sessionId)?.filter((other) => other !== parked) ?? [];
    if (others.length > 0) this.bySession.set(sessionId, others);
    else this.bySession.delete(sessionId);
  }

  private peersOf(placement: Placement): Peers {
    const key = keyOf(placement);
    const known = this.peers.get(key) ?? { placement, claims: new Set() };
    this.peers.set(key, known);
    return known;
  }
}

/** One claim that waits. There are ten thousand of them: what each holds counts. */
class Parked {
  private timer: NodeJS.Timeout | undefined;

  /** @param number those with smaller ones have waited longer */
  constructor(
    private readonly parking: Parking,
    readonly number: number,
    readonly sessionId: string,
    readonly peers: Peers | undefined,
    private readonly gone: Leaving,
    private readonly resolve: (ending: Ending) => void,
  ) {}

  readonly leave = (): void => this.end({ why: "over" });

  wait(ms: number): void {
    this.timer = setTimeout(this.leave, ms);
    this.gone.addEventListener("abort", this.leave);
  }

  end(ending: Ending): void {
    clearTimeout(this.timer);
    this.gone.removeEventListener("abort", this.leave);
    this.parking.forget(this);
    this.resolve(ending);
  }
}

function firstOf<T>(items: Iterable<T>, count: number): T[] {
  const first: T[] = [];
  for (const item of items) {
    if (first.length === count) break;
    first.push(item);
  }
  return first;
}
