import {
  type Instant,
  remainingMs,
  type SteadyClock,
  ticked,
  type WorkerLease,
} from "../../control-plane/protocol/worker-lease";
import type { HandedLease } from "./lease-keeper";

/** The lease by the clock of whoever it was handed to: that only ever shortens what it says. */
export class GuardedLease {
  private clock: SteadyClock;
  private held: WorkerLease | undefined;
  /** When the heartbeat of the held one was sent, by the clock that is never set. */
  private newestMs = Number.NEGATIVE_INFINITY;
  /** Whether one was valid when it was taken up: a daemon may have been started under it. */
  private wasValid = false;

  constructor(private readonly now: () => Instant) {
    this.clock = { elapsedMs: 0, lastTick: now() };
  }

  /**
   * Takes a lease up, unless one is held whose heartbeat was sent later: what the agent asks for comes with the lease of that moment,
   * and may be read after a newer one.
   * @returns whether that very lease is not over yet, whichever has been taken up since: what was asked for under it goes by it
   */
  hold({ sentAt, leaseMs }: HandedLease): () => boolean {
    const now = this.now();
    this.clock = ticked(this.clock, now);
    const agedMs = Math.max(0, now.monotonicMs - sentAt.monotonicMs, now.wallMs - sentAt.wallMs);
    const held = { sentAtMs: this.clock.elapsedMs, leaseMs: leaseMs - agedMs };
    if (sentAt.monotonicMs >= this.newestMs) {
      this.newestMs = sentAt.monotonicMs;
      this.held = held;
      this.wasValid ||= leaseMs > agedMs;
    }
    return () => this.leftOf(held) > 0;
  }

  /** Whether a lease was held and none is any more, also where nobody looked while it was. */
  get isOver(): boolean {
    return this.wasValid && this.remainingMs() <= 0;
  }

  /** How long daemons may still run; zero or less when they must stop. Due at least once a second. */
  remainingMs(): number {
    return this.held ? this.leftOf(this.held) : 0;
  }

  private leftOf(lease: WorkerLease): number {
    this.clock = ticked(this.clock, this.now());
    return remainingMs(lease, this.clock);
  }
}
