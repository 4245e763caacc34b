import { mayTake, type Placement } from "../lease/placement";

/** A worker that asks for jobs. */
export interface Asking extends Placement {
  readonly sessionId: string;
}

/** Jobs of one placement that wait to be claimed. */
export interface Ready {
  readonly placement: Placement;
  /** Claims that were woken for them and have not asked for jobs yet. */
  awake: number;
}

/** Why a claim is parked no longer: there is news for its session, or jobs; or the time is up, or the asker has gone. */
export type Ending = { readonly why: "news" | "over" } | { readonly why: "jobs"; readonly ready: Ready };

interface Parked extends Asking {
  readonly end: (ending: Ending) => void;
}

/** Claims that wait. Those that have waited longest are woken first. */
export class Parking {
  private readonly parked = new Set<Parked>();
  /** Sessions with news that had nothing parked when it came: their claim may be on its way. */
  private readonly missed = new Set<string>();
  private isClosed = false;

  get size(): number {
    return this.parked.size;
  }

  async park(asking: Asking, waitMs: number, gone: AbortSignal): Promise<Ending> {
    if (this.isClosed || gone.aborted || waitMs <= 0) return { why: "over" };
    if (this.missed.delete(asking.sessionId)) return { why: "news" };
    return await new Promise((resolve) => {
      const end = (ending: Ending): void => {
        clearTimeout(timer);
        gone.removeEventListener("abort", leave);
        this.parked.delete(parked);
        resolve(ending);
      };
      const leave = (): void => end({ why: "over" });
      const parked: Parked = { ...asking, end };
      const timer = setTimeout(leave, waitMs);
      gone.addEventListener("abort", leave);
      this.parked.add(parked);
    });
  }

  /** Wakes what a session has parked; where that is nothing, its next claim does not wait. */
  wakeSession(sessionId: string): void {
    const waiting = [...this.parked].filter((parked) => parked.sessionId === sessionId);
    if (waiting.length === 0) this.missed.add(sessionId);
    for (const { end } of waiting) end({ why: "news" });
  }

  /** News is forgotten for which no claim came. */
  forgetMissed(): void {
    this.missed.clear();
  }

  /** Wakes as many claims as there are jobs that no claim was woken for yet. */
  wakeFor(ready: Ready, jobs: number): void {
    for (const parked of this.parked) {
      if (ready.awake >= jobs) return;
      if (!mayTake(parked, ready.placement)) continue;
      ready.awake += 1;
      parked.end({ why: "jobs", ready });
    }
  }

  /** Nothing is parked any more. */
  close(): void {
    this.isClosed = true;
    for (const { end } of this.parked) end({ why: "over" });
  }
}
