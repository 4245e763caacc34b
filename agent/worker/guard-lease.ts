import { type Instant, remainingMs, type SteadyClock, ticked } from "../../control-plane/protocol/worker-lease";
import type { HandedLease } from "./lease-keeper";

/** The lease by the clock of whoever it was handed to: that only ever shortens what it says. */
export class GuardedLease {
  private clock: SteadyClock;
  private held: { readonly sentAtMs: number; readonly leaseMs: number } | undefined;
  /** Whether one was valid when it was taken up: a daemon may have been started under it. */
  private wasValid = false;

  constructor(private readonly now: () => Instant) {
    this.clock = { elapsedMs: 0, lastTick: now() };
  }

  /** Takes a lease up, whichever was held before: the agent hands on none that is older. */
  hold({ sentAt, leaseMs }: HandedLease): void {
    const now = this.now();
    this.clock = ticked(this.clock, now);
    const agedMs = Math.max(0, now.monotonicMs - sentAt.monotonicMs, now.wallMs - sentAt.wallMs);
    this.held = { sentAtMs: this.clock.elapsedMs, leaseMs: leaseMs - agedMs };
    this.wasValid ||= leaseMs > agedMs;
  }

  /** Whether a lease was held and none is any more, also where nobody looked while it was. */
  get isOver(): boolean {
    return this.wasValid && this.remainingMs() <= 0;
  }

  /** How long daemons may still run; zero or less when they must stop. Due at least once a second. */
  remainingMs(): number {
    this.clock = ticked(this.clock, this.now());
    return this.held ? remainingMs(this.held, this.clock) : 0;
  }
}
