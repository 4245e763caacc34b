import {
  type Instant,
  remainingMs,
  renewed,
  type SteadyClock,
  ticked,
  type WorkerLease,
} from "../../control-plane/protocol/worker-lease";

/** The lease as it is handed to another process, which has a clock of its own. */
export interface HandedLease {
  /** Just before the heartbeat was sent, on clocks that all processes of this machine share. */
  readonly sentAt: Instant;
  readonly leaseMs: number;
}

/** Both clocks, the same for every process since the machine's boot. */
export function machineInstant(): Instant {
  return { monotonicMs: Number(process.hrtime.bigint() / 1_000n) / 1_000, wallMs: Date.now() };
}

/** The moment before a heartbeat is sent, to which its answer is held. */
export interface Sending {
  readonly sentAtMs: number;
  readonly at: Instant;
}

/**
 * The agent's own hold of the lease. It has run out until the first heartbeat was answered, and is told to have run out once
 * each time that happens.
 */
export class LeaseKeeper {
  private clock: SteadyClock;
  private lease: WorkerLease | undefined;
  private held = false;
  /** How often it ran out: an answer to something asked before then comes too late. */
  lapses = 0;

  constructor(
    private readonly hand: (lease: HandedLease) => void,
    private readonly lapsed: () => void,
    private readonly now: () => Instant = machineInstant,
  ) {
    this.clock = { elapsedMs: 0, lastTick: now() };
  }

  /** Whether daemons may run now. */
  get valid(): boolean {
    this.tick();
    return this.held;
  }

  /** How long they still may. */
  get remainingMs(): number {
    this.tick();
    return this.held && this.lease ? remainingMs(this.lease, this.clock) : 0;
  }

  /** Looks at the clocks; due at least once a second. */
  tick(): void {
    this.clock = ticked(this.clock, this.now());
    if (!this.held || !this.lease || remainingMs(this.lease, this.clock) > 0) return;
    this.held = false;
    this.lapses += 1;
    this.lapsed();
  }

  sending(): Sending {
    this.tick();
    return { sentAtMs: this.clock.elapsedMs, at: this.clock.lastTick };
  }

  /** A heartbeat was answered. An answer that comes after the lease it grants renews nothing. */
  renew({ sentAtMs, at }: Sending, leaseMs: number): void {
    this.tick();
    const answered = { sentAtMs, leaseMs };
    if (renewed(this.lease, answered) !== answered) return;
    this.lease = answered;
    this.hand({ sentAt: at, leaseMs });
    this.held = remainingMs(answered, this.clock) > 0;
  }
}
