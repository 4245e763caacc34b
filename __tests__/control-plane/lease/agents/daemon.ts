import type { CdcStatus, DaemonApi } from "../../../../agent/worker/daemon/daemon-api";
import type { DaemonEnd, DaemonProcess, DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";
import { streamingStatus } from "../../../support/streaming-status";
import type { Machine } from "./machine";

/** How soon an agent sees that a daemon has ended. */
const SEEN_MS = 250;
/** A daemon that is asked to end does so in this time, or when it is made to. */
const LONGEST_END_MS = 3_000;

/** A daemon that only exists: from its start until it is ended, or ends. */
export class Daemon {
  isAlive = true;
  isPaused = false;
  private end: DaemonEnd | undefined;
  private readonly told: ((end: DaemonEnd) => void)[] = [];

  constructor(
    readonly machine: Machine,
    readonly record: DaemonRecord,
    /** When it was decided that it may begin. */
    private readonly admittedAtMs: number,
    private readonly gone: (daemon: Daemon) => void,
  ) {}

  /** Whether it is excused: it does nothing now, or only since its machine has gone on a moment ago. */
  get isFrozenOrWaking(): boolean {
    const { isFrozen, frozenUntilMs, wakingUntilMs, world } = this.machine;
    return isFrozen || (this.admittedAtMs < frozenUntilMs && world.nowMs < wakingUntilMs);
  }

  exit(end: DaemonEnd): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.machine.tell("daemon ends", { jobId: this.record.jobId, fence: this.record.fence, ...end });
    this.end = end;
    this.gone(this);
    for (const tell of this.told) tell(end);
  }

  exitIn(atMost: number, end: DaemonEnd): void {
    this.machine.after(this.machine.world.between(0, atMost), () => this.exit(end));
  }

  signal(signal: "SIGTERM" | "SIGKILL"): void {
    this.exitIn(signal === "SIGTERM" ? LONGEST_END_MS : 20, { status: null, signal });
  }

  /** Gone without a word: with its machine. */
  vanish(): void {
    this.isAlive = false;
  }

  /** As the life of the agent that lives now follows it. */
  process(): DaemonProcess {
    const { machine, record } = this;
    const { life } = machine;
    const ended = new Promise<DaemonEnd>((resolve) => {
      const see = (end: DaemonEnd): void => {
        if (life === machine.life) machine.agentAfter(machine.world.between(1, SEEN_MS), () => resolve(end));
      };
      if (this.end) see(this.end);
      else this.told.push(see);
    });
    return {
      record,
      secrets: [],
      ended,
      signal: (name) =>
        machine.ask((done: (nothing: undefined) => void) => {
          this.signal(name);
          done(undefined);
        }),
      memoryBytes: async () => 0,
      lastLines: async () => (this.end?.status === 0 ? ["Snapshot complete"] : []),
      forget: async () => {},
    };
  }

  readonly api: DaemonApi = {
    health: async () => this.answer({ status: "serving", stage: "cdc", stage_detail: "", error_detail: "" }),
    status: async () => this.answer(this.status()),
    figures: async () => undefined,
    pause: async () => this.answer(true),
    resume: async () => this.answer(true),
    stop: async () => {
      this.exitIn(2_000, { status: 0, signal: null });
      return this.answer(true);
    },
  };

  private status(): CdcStatus {
    const { slotName: slot_name, tables } = this.record;
    return streamingStatus({ confirmed_lsn: BigInt(Math.floor(this.machine.world.nowMs / 1_000)), slot_name, tables });
  }

  private answer<Answer>(answer: Answer): Answer {
    if (!this.isAlive) throw new Error("connection refused");
    return answer;
  }
}
