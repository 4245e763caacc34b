import type { DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";
import type { World } from "../simulator/world";
import { Daemon } from "./daemon";
import { Guard } from "./guard";
import { Machine } from "./machine";
import type { LeftOut } from "./rules";

export interface WorkerProps {
  readonly world: World;
  readonly id: string;
  /** Of its clocks, to true time. */
  readonly rate: number;
  readonly leftOut: LeftOut | undefined;
  readonly tell: (what: string, fields?: object) => void;
  /** Told of every daemon that begins. */
  readonly spawned: (daemon: Daemon) => void;
}

/** A machine with a guard, and the daemons that outlive the agent. */
export class Worker extends Machine {
  readonly daemons = new Set<Daemon>();
  guard: Guard;
  private readonly spawned: WorkerProps["spawned"];

  constructor({ world, id, rate, leftOut, tell, spawned }: WorkerProps) {
    super(world, id, rate, leftOut, tell);
    this.spawned = spawned;
    this.guard = this.newGuard();
  }

  override endAgent(): void {
    super.endAgent();
    this.guard.agentEnded();
  }

  override freeze(forMs: number, wakingMs: number): void {
    this.guard.goOn();
    super.freeze(forMs, wakingMs);
  }

  override setWallClock(byMs: number): void {
    if (!this.guard.isStalled) super.setWallClock(byMs);
  }

  override vanish(): void {
    super.vanish();
    for (const daemon of this.daemons) daemon.vanish();
    this.daemons.clear();
    this.guard = this.newGuard();
  }

  private newGuard(): Guard {
    return new Guard(this, this.daemons, (record, admittedAtMs) => this.spawn(record, admittedAtMs));
  }

  private spawn(record: DaemonRecord, admittedAtMs: number): Daemon {
    const daemon = new Daemon(this, record, admittedAtMs, () => this.daemons.delete(daemon));
    this.daemons.add(daemon);
    this.tell("daemon begins", { jobId: record.jobId, fence: record.fence });
    this.spawned(daemon);
    return daemon;
  }
}
