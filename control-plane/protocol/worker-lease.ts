/** The worker's side of the lease: until when its daemons may run. */

/** One moment as a machine's two clocks tell it, in milliseconds. */
export interface Instant {
  /** `performance.now()` or the like: never set, but stands still while the machine is suspended. */
  readonly monotonicMs: number;
  /** `Date.now()`: goes on while the machine is suspended, but may be set in either direction. */
  readonly wallMs: number;
}

/** Time that never runs slower than true time, whatever is done to the machine and its clocks. */
export interface SteadyClock {
  readonly elapsedMs: number;
  readonly lastTick: Instant;
}

/**
 * The clock after a tick. Between two ticks it takes the larger of what the clocks say, since each can only be believed in
 * one direction. Tick at least once a second: a wall clock set back in the same tick as a suspension hides it.
 */
export function ticked(clock: SteadyClock, now: Instant): SteadyClock {
  const { monotonicMs, wallMs } = clock.lastTick;
  const passedMs = Math.max(0, now.monotonicMs - monotonicMs, now.wallMs - wallMs);
  return { elapsedMs: clock.elapsedMs + passedMs, lastTick: now };
}

/** A lease as the worker holds it. */
export interface WorkerLease {
  /** Steady time just before the heartbeat that renewed it was sent: the server received it later, so it counts from later. */
  readonly sentAtMs: number;
  readonly leaseMs: number;
}

/** How long daemons may still run; zero or less when they must stop. */
export function remainingMs(lease: WorkerLease, clock: SteadyClock): number {
  return lease.sentAtMs + lease.leaseMs - clock.elapsedMs;
}

/** The lease after an answered heartbeat. Answers may come in any order: the heartbeat that was sent last counts. */
export function renewed(held: WorkerLease | undefined, answered: WorkerLease): WorkerLease {
  return held && held.sentAtMs > answered.sentAtMs ? held : answered;
}
