import type { LeaseTiming } from "../../../../control-plane/lease/timing";
import {
  remainingMs,
  type SteadyClock,
  ticked,
  type WorkerLease,
} from "../../../../control-plane/protocol/worker-lease";
import type { Mutant } from "./mutants";
import type { World } from "./world";

export interface Daemon {
  readonly jobId: string;
  readonly fence: number;
  readonly keep: boolean;
  dying: boolean;
}

/** What the machine tells whoever measures. */
export interface Observer {
  spawned(machine: Machine, daemon: Daemon): void;
  gone(machine: Machine, daemon: Daemon, cause: "lease" | "order" | "exit" | "vanished"): void;
  thawed(machine: Machine): void;
}

/**
 * A host with clocks of its own, which can be suspended or lost, and the daemons that run on it. The lease guard is a
 * process of its own: it ends the daemons when the lease on disk has run out, whatever the agent does.
 */
export class Machine {
  readonly daemons = new Map<string, Daemon>();
  /** Grows when the agent dies: what the last life had under way does not go on in the next. */
  life = 0;
  agent: "up" | "paused" | "down" = "down";
  agentResumesAtMs = 0;
  /** The lease the agent last wrote down; survives the agent, not the machine. */
  lease: WorkerLease | undefined;
  frozenUntilMs = 0;
  cutOffUntilMs = 0;
  private clock: SteadyClock = { elapsedMs: 0, lastTick: { monotonicMs: 0, wallMs: 0 } };
  private wallStepMs = 0;
  private suspendedMs = 0;
  private boot = 0;
  private guarded = false;

  constructor(
    readonly world: World,
    readonly id: string,
    private readonly rate: number,
    readonly timing: LeaseTiming,
    readonly mutant: Mutant | undefined,
    private readonly observer: Observer,
  ) {}

  get frozen(): boolean {
    return this.frozenUntilMs > this.world.nowMs;
  }

  /** The clock as the agent and the guard know it. */
  tick(): SteadyClock {
    const wallMs = this.world.nowMs * this.rate + this.wallStepMs;
    const monotonicMs = (this.world.nowMs - this.suspendedMs) * this.rate;
    const trusted = this.mutant === "monotonic-only clock" ? monotonicMs : wallMs;
    this.clock = ticked(this.clock, { monotonicMs, wallMs: trusted });
    return this.clock;
  }

  setWallClock(byMs: number): void {
    if (this.frozen) return;
    this.tick();
    this.wallStepMs += byMs;
  }

  /** Runs something on this machine once its clock has advanced; later when it is suspended then, never after its end. */
  after(localMs: number, happen: () => void): void {
    const boot = this.boot;
    const due = (): void => {
      if (boot !== this.boot) return;
      if (this.frozen) this.world.after(this.frozenUntilMs - this.world.nowMs, due);
      else happen();
    };
    this.world.after(localMs / this.rate, due);
  }

  /** The same in the agent's process: also waits while it is stopped, and ends with it. */
  agentAfter(localMs: number, happen: () => void): void {
    const life = this.life;
    const due = (): void => {
      if (life !== this.life) return;
      if (this.agent === "paused") this.after(Math.max(1, this.agentResumesAtMs - this.world.nowMs), due);
      else happen();
    };
    this.after(localMs, due);
  }

  leaseIsValid(): boolean {
    return this.lease !== undefined && remainingMs(this.lease, this.tick()) > 0;
  }

  renew(lease: WorkerLease): void {
    this.lease = lease;
    if (!this.guarded) this.watch();
  }

  spawn(jobId: string, fence: number, keep: boolean): Daemon {
    const daemon: Daemon = { jobId, fence, keep, dying: false };
    this.daemons.set(jobId, daemon);
    this.observer.spawned(this, daemon);
    return daemon;
  }

  /** Ends a daemon; it may live on for as long as that takes. */
  kill(daemon: Daemon, cause: "lease" | "order"): void {
    if (daemon.dying) return;
    daemon.dying = true;
    this.after(this.world.between(0, this.timing.killMs), () => this.remove(daemon, cause));
  }

  remove(daemon: Daemon, cause: "lease" | "order" | "exit"): void {
    if (this.daemons.get(daemon.jobId) !== daemon) return;
    this.daemons.delete(daemon.jobId);
    this.observer.gone(this, daemon, cause);
  }

  /** Suspends the machine. Its monotonic clock stands still meanwhile. */
  freeze(forMs: number): void {
    this.frozenUntilMs = this.world.nowMs + forMs;
    const boot = this.boot;
    this.world.after(forMs, () => {
      if (boot !== this.boot) return;
      this.suspendedMs += forMs;
      if (!this.leaseIsValid()) this.fence(true);
      this.observer.thawed(this);
    });
  }

  /** The machine and all on it are lost; it may come back as another boot with empty hands. */
  vanish(): void {
    this.boot += 1;
    this.life += 1;
    this.agent = "down";
    this.guarded = false;
    this.lease = undefined;
    this.frozenUntilMs = 0;
    const lost = [...this.daemons.values()];
    this.daemons.clear();
    for (const daemon of lost) this.observer.gone(this, daemon, "vanished");
  }

  private watch(): void {
    this.guarded = true;
    const left = this.lease ? Math.max(1, remainingMs(this.lease, this.tick())) : 1;
    this.after(left, () => {
      if (this.leaseIsValid()) this.watch();
      else {
        this.after(this.world.between(0, this.timing.watchdogMs), () => {
          this.guarded = false;
          if (this.leaseIsValid()) this.watch();
          else this.fence(false);
        });
      }
    });
  }

  /**
   * At the end of a suspension the guard is the first to run; the milliseconds it needs are beyond any protocol
   * between agent and control plane, and are left to the source, whose replication slot admits one reader.
   */
  private fence(atOnce: boolean): void {
    if (this.mutant === "no watchdog" && this.agent === "paused") return;
    if (this.mutant === "orphaned daemons" && this.agent === "down") return;
    for (const daemon of [...this.daemons.values()]) {
      if (daemon.keep) continue;
      if (atOnce) this.remove(daemon, "lease");
      else this.kill(daemon, "lease");
    }
  }
}
