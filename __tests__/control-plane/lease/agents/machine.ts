import type { Instant } from "../../../../control-plane/protocol/worker-lease";
import type { World } from "../simulator/world";
import type { LeftOut } from "./rules";
import { runAs, type VirtualProcess } from "./virtual-process";

/** Whatever the clocks say at first is of no account. */
const BOOT_MS = 1_000;
const EPOCH_MS = 1_767_323_040_000;
const APART_MS = 1_000;

/** A host with clocks of its own, and its agent's process. */
export class Machine implements VirtualProcess {
  /** Grows when the agent's process ends: what that had under way goes nowhere. */
  life = 0;
  isAgentUp = false;
  cutOffUntilMs = 0;
  /** In true time, until when the machine stands still; then, until when nothing of before can have been ended yet. */
  frozenUntilMs = 0;
  wakingUntilMs = 0;
  /** None is given out twice. */
  readonly ports = { take: async () => this.nextPort++, keep: () => {}, putBack: () => {} };
  private nextPort = 1;
  private agentPausedUntilMs = 0;
  private frozenAtMs = 0;
  private suspendedMs = 0;
  private wallStepMs = 0;
  private wallSetAtMs = Number.NEGATIVE_INFINITY;
  private boot = 0;

  constructor(
    readonly world: World,
    readonly id: string,
    private readonly rate: number,
    readonly leftOut: LeftOut | undefined,
    /** Notes what happens. */
    readonly tell: (what: string, fields?: object) => void,
  ) {}

  get isFrozen(): boolean {
    return this.world.nowMs < this.frozenUntilMs;
  }

  get monotonicMs(): number {
    const standsSinceMs = this.isFrozen ? this.frozenAtMs : this.world.nowMs;
    return BOOT_MS + (standsSinceMs - this.suspendedMs) * this.rate;
  }

  get wallMs(): number {
    if (this.leftOut === "wall clock") return EPOCH_MS + this.monotonicMs;
    return EPOCH_MS + this.world.nowMs * this.rate + this.wallStepMs;
  }

  readonly instant = (): Instant => ({ monotonicMs: this.monotonicMs, wallMs: this.wallMs });

  random(): number {
    return this.world.between(0, 1);
  }

  /** Runs something on this machine after so long by its monotonic clock; never when it has vanished by then. */
  after(delayMs: number, happen: () => void): void {
    const { boot, world } = this;
    const dueAt = this.monotonicMs + delayMs;
    const look = (): void => {
      if (boot !== this.boot) return;
      const leftMs = dueAt - this.monotonicMs;
      if (this.isFrozen) world.at(this.frozenUntilMs, look);
      // What is left below that is of the arithmetic.
      else if (leftMs > 0.001) world.after(leftMs / this.rate, look);
      else happen();
    };
    world.after(delayMs / this.rate, look);
  }

  /** The same in the agent's process: later while it stands still, never when it has ended. */
  readonly agentAfter = (delayMs: number, happen: () => void): void => {
    const { life } = this;
    const due = (): void => {
      if (life !== this.life) return;
      // As they were due, all at once when it goes on.
      if (this.world.nowMs < this.agentPausedUntilMs) this.world.at(this.agentPausedUntilMs, due);
      else if (this.isFrozen) this.world.at(this.frozenUntilMs, due);
      else runAs(this, happen);
    };
    this.after(delayMs, due);
  };

  /** What another process of this machine is asked and answers, each a moment later. The agent may have ended meanwhile. */
  ask<Answer>(work: (answer: (value: Answer) => void, fail: (why: string) => void) => void): Promise<Answer> {
    const { world } = this;
    const moment = (): number => (world.chance(0.05) ? world.between(1, 100) : 1);
    return new Promise((resolve, reject) => {
      const { life } = this;
      const back = (settle: () => void): void => {
        if (life === this.life) this.agentAfter(moment(), settle);
      };
      this.after(moment(), () =>
        work(
          (value) => back(() => resolve(value)),
          (why) => back(() => reject(new Error(why))),
        ),
      );
    });
  }

  beginAgent(): void {
    this.tell("agent begins");
    this.life += 1;
    this.isAgentUp = true;
    this.agentPausedUntilMs = 0;
  }

  /** The agent's process is gone, whatever it was at. */
  endAgent(): void {
    this.tell("agent ends");
    this.life += 1;
    this.isAgentUp = false;
  }

  pauseAgent(forMs: number): void {
    this.tell("agent stands still", { forMs });
    this.agentPausedUntilMs = this.world.nowMs + forMs;
  }

  /** Not in the same moment in which it stands still: who looks at both clocks but once then sees neither. */
  setWallClock(byMs: number): void {
    const { nowMs } = this.world;
    if (nowMs < this.frozenUntilMs + APART_MS) return;
    this.tell("wall clock set", { byMs });
    this.wallStepMs += byMs;
    this.wallSetAtMs = nowMs;
  }

  /** Stands still: the monotonic clock with it, the wall clock not. @param wakingMs how long it may take then to end what must end */
  freeze(forMs: number, wakingMs: number): void {
    if (this.isFrozen || this.world.nowMs < this.wallSetAtMs + APART_MS) return;
    this.tell("stands still", { forMs });
    this.frozenAtMs = this.world.nowMs;
    this.frozenUntilMs = this.world.nowMs + forMs;
    this.wakingUntilMs = this.frozenUntilMs + wakingMs;
    const { boot } = this;
    this.world.after(forMs, () => {
      if (boot === this.boot) this.suspendedMs += forMs;
    });
  }

  /** The machine and all on it are lost; another of the same name may come. */
  vanish(): void {
    this.tell("vanishes");
    this.boot += 1;
    this.life += 1;
    this.isAgentUp = false;
    this.frozenUntilMs = 0;
    this.wakingUntilMs = 0;
  }
}
