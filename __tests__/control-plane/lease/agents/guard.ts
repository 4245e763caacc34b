import type { DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";
import { GuardedLease } from "../../../../agent/worker/guard-lease";
import type { HandedLease } from "../../../../agent/worker/lease-keeper";
import type { Daemon } from "./daemon";
import type { Machine } from "./machine";

/** As `agent/worker/guard.ts` and the units' properties have them. */
const LOOK_MS = 250;
const WATCHDOG_MARGIN_MS = 1_000;
const STOP_MS = 1_000;
const LONGEST_START_MS = 300;
/** Four of the schedules' server leases: within an outage of five. */
const OUTAGE_MS = 30_800;

/**
 * The lease guard and systemd around it: the lease that was handed to it is the shipped code's, by the machine's clocks; that its end
 * ends the daemons, and its watchdog it where it stands still, is systemd's doing and made up.
 */
export class Guard {
  private lease: GuardedLease;
  private heldAtMs = Number.POSITIVE_INFINITY;
  private watchdogAtMs = Number.POSITIVE_INFINITY;
  private stalledUntilMs = 0;
  /** What the agent said and the guard has not read. */
  private unread: HandedLease | undefined;
  /** The newest that the agent said: what it asks for comes with it. */
  private said: HandedLease | undefined;
  /** How often it ended: a start that was under way then comes to nothing. */
  private ends = 0;
  private starting = 0;

  constructor(
    private readonly machine: Machine,
    private readonly daemons: Iterable<Daemon>,
    private readonly spawn: (record: DaemonRecord, admittedAtMs: number) => Daemon,
  ) {
    this.lease = new GuardedLease(machine.instant);
    this.look();
  }

  holdLease(lease: HandedLease): void {
    this.said = lease;
    this.machine.after(1, () => {
      if (this.isStalled) this.unread = lease;
      else this.hold(lease);
    });
  }

  /** The agent's connections break: nothing more is read from them. */
  agentEnded(): void {
    this.unread = undefined;
    this.said = undefined;
  }

  /**
   * Stands still for a while; systemd ends it with the lease that it knew of last, counted by a clock that stands still with the machine.
   * So not while that does, nor until what must end then has.
   */
  stall(forMs: number): void {
    if (this.machine.world.nowMs < this.machine.wakingUntilMs) return;
    this.machine.tell("guard stands still", { forMs });
    this.stalledUntilMs = this.machine.world.nowMs + forMs;
  }

  goOn(): void {
    this.stalledUntilMs = 0;
  }

  /** What it has been asked it does, also when whoever asked is gone; not what it had not begun with when it ended. */
  start(record: DaemonRecord, started: (daemon: Daemon) => void, failed: (why: string) => void): void {
    const { ends, machine, said } = this;
    const isOver = (): boolean => this.lease.remainingMs() <= 0 || !said || this.isOver(said);
    this.starting += 1;
    const over = (then: () => void): void => {
      this.starting -= 1;
      then();
    };
    const refuse = (why: string): void => over(() => failed(why));
    const admit = (): void => {
      if (ends !== this.ends) refuse("the guard has ended");
      else if (this.isStalled) machine.after(LOOK_MS, admit);
      else if (isOver() && machine.leftOut !== "lease guard") refuse("the lease is over");
      else launch(machine.world.nowMs);
    };
    const launch = (admittedAtMs: number): void =>
      machine.after(machine.world.between(5, LONGEST_START_MS), () => {
        if (ends !== this.ends) refuse("the guard has ended");
        else over(() => started(this.spawn(record, admittedAtMs)));
      });
    admit();
  }

  /** Told once nothing is being started. */
  startsOver(then: () => void): void {
    if (this.starting === 0 && !this.isStalled) then();
    else this.machine.after(LOOK_MS, () => this.startsOver(then));
  }

  get isStarting(): boolean {
    return this.starting > 0;
  }

  get isStalled(): boolean {
    return this.machine.world.nowMs < this.stalledUntilMs;
  }

  private isOver(said: HandedLease): boolean {
    const lease = new GuardedLease(this.machine.instant);
    lease.hold(said);
    return lease.remainingMs() <= 0;
  }

  private hold(lease: HandedLease): void {
    this.lease.hold(lease);
    this.heldAtMs = this.machine.monotonicMs;
    const leftMs = this.lease.remainingMs();
    this.watchdogAtMs = leftMs > 0 ? this.machine.monotonicMs + leftMs + WATCHDOG_MARGIN_MS : Number.POSITIVE_INFINITY;
  }

  private look(): void {
    if (this.machine.monotonicMs >= this.watchdogAtMs) this.end();
    if (!this.isStalled) {
      if (this.unread) this.hold(this.unread);
      this.unread = undefined;
      if (this.lease.isOver) this.end();
    }
    const isLongOver = this.machine.monotonicMs - this.heldAtMs >= OUTAGE_MS;
    if (isLongOver && this.machine.leftOut === "keep") for (const daemon of this.daemons) daemon.signal("SIGKILL");
    this.machine.after(LOOK_MS, () => this.look());
  }

  /** With it systemd ends every daemon that may not outlive it, and starts it anew. */
  private end(): void {
    const { machine } = this;
    const { leftOut } = machine;
    if (leftOut === "lease guard" || (leftOut === "guard without its agent" && !machine.isAgentUp)) return;
    machine.tell("guard ends");
    this.ends += 1;
    this.lease = new GuardedLease(machine.instant);
    this.watchdogAtMs = Number.POSITIVE_INFINITY;
    this.stalledUntilMs = 0;
    for (const daemon of this.daemons) {
      if (daemon.record.onDisconnect === "keep") continue;
      daemon.signal("SIGTERM");
      machine.after(STOP_MS, () => daemon.signal("SIGKILL"));
    }
  }
}
