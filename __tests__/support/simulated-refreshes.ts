import type { Clock } from "../../scripts/rolling-update/clock";
import { CloudError } from "../../scripts/rolling-update/cloud";
import {
  type InstanceRefresh,
  type InstanceRefreshes,
  isUnderWay,
  type RefreshPreferences,
} from "../../scripts/rolling-update/fleet/instance-refresh";

const INSTANCE_MS = 60_000;
const INSTANCES = 10;
const BAKE_MS = 60_000;

interface Running {
  readonly startedMs: number;
  readonly preferences: RefreshPreferences;
  /** When and how it is ended before its time. */
  ended?: { readonly atMs: number; readonly as: "cancel" | "rollback"; readonly reason: string };
}

/**
 * A pool of ten whose refresh replaces one a minute, by the rules of
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html: one at a time, pauses at
 * checkpoints, bakes, and fails or goes back when an alarm goes off.
 */
export class SimulatedRefreshes implements InstanceRefreshes {
  readonly calls: string[] = [];
  /** When an alarm goes off, if one does. */
  alarmAtMs = Number.POSITIVE_INFINITY;
  /** A refresh that makes no progress from this percentage on. */
  stuckAt = Number.POSITIVE_INFINITY;
  launchFailures: string[] = [];
  readonly #all: Running[] = [];

  constructor(private readonly clock: Clock) {}

  /** As Terraform does it. */
  begin(preferences: RefreshPreferences = {}): void {
    if (this.#all.some((running) => isUnderWay(this.#view(running)))) {
      throw new CloudError(
        "StartInstanceRefresh",
        "InstanceRefreshInProgress",
        "An Instance Refresh is already in progress",
      );
    }
    this.#all.unshift({ startedMs: this.clock.now(), preferences });
  }

  async describe() {
    return this.#all.map((running) => this.#view(running));
  }

  async failedLaunches() {
    return this.launchFailures;
  }

  async start(_group: string, preferences: RefreshPreferences) {
    this.calls.push("start");
    this.begin(preferences);
    return this.#idOf(this.#all[0] as Running);
  }

  async cancel() {
    this.#end("cancel", "cancelled by request");
  }

  async rollback() {
    this.#end("rollback", "rollback by request");
  }

  #end(as: "cancel" | "rollback", reason: string): void {
    this.calls.push(as);
    const [newest] = this.#all;
    if (!newest || !isUnderWay(this.#view(newest))) {
      throw new CloudError(as, "ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found");
    }
    newest.ended = { atMs: this.clock.now(), as, reason };
  }

  #idOf(running: Running): string {
    return `refresh-${this.#all.length - this.#all.indexOf(running)}`;
  }

  #view(running: Running): InstanceRefresh {
    const nowMs = this.clock.now();
    const { startedMs, preferences } = running;
    if (
      !running.ended &&
      preferences.alarms &&
      nowMs >= this.alarmAtMs &&
      this.#progress(running, this.alarmAtMs) < 100
    ) {
      const as = preferences.autoRollback ? "rollback" : "cancel";
      running.ended = { atMs: this.alarmAtMs, as, reason: `alarm ${preferences.alarms.join()} is in ALARM` };
    }
    const replaced = this.#progress(running, running.ended?.atMs ?? nowMs);
    return {
      id: this.#idOf(running),
      startedMs,
      percent: replaced,
      remaining: INSTANCES - replaced / 10,
      checkpoints: preferences.checkpoints ?? [],
      checkpointDelayMs: (preferences.checkpointDelaySeconds ?? 3_600) * 1_000,
      alarms: preferences.alarms ?? [],
      rollsBackByItself: preferences.autoRollback ?? false,
      ...this.#status(running, replaced, nowMs),
    };
  }

  #status(running: Running, replaced: number, nowMs: number): Pick<InstanceRefresh, "status" | "reason"> {
    const { ended } = running;
    if (ended) {
      const { reason } = ended;
      const isOver = nowMs - ended.atMs >= 2 * INSTANCE_MS;
      if (ended.as === "rollback") return { status: isOver ? "RollbackSuccessful" : "RollbackInProgress", reason };
      if (reason.startsWith("alarm")) return { status: "Failed", reason };
      return { status: isOver ? "Cancelled" : "Cancelling", reason };
    }
    if (nowMs - running.startedMs < INSTANCE_MS / 2) return { status: "Pending", reason: undefined };
    if (replaced < 100) {
      const isStuck = replaced >= this.stuckAt && nowMs - running.startedMs > 3_600_000;
      if (isStuck) return { status: "Failed", reason: "Could not make progress for 1 hour" };
      return { status: "InProgress", reason: this.launchFailures[0] };
    }
    const endMs = this.#doneMs(running) + BAKE_MS;
    return { status: nowMs < endMs ? "Baking" : "Successful", reason: undefined };
  }

  #progress(running: Running, atMs: number): number {
    let replaced = 0;
    let clockMs = running.startedMs;
    const { checkpoints = [], checkpointDelaySeconds = 3_600 } = running.preferences;
    while (replaced < Math.min(100, this.stuckAt)) {
      clockMs += INSTANCE_MS;
      if (clockMs > atMs) break;
      replaced += 10;
      if (checkpoints.includes(replaced)) clockMs += checkpointDelaySeconds * 1_000;
    }
    return replaced;
  }

  #doneMs({ startedMs, preferences: { checkpoints = [], checkpointDelaySeconds = 3_600 } }: Running): number {
    const pauses = checkpoints.filter((share) => share < 100).length * checkpointDelaySeconds * 1_000;
    return startedMs + INSTANCES * INSTANCE_MS + pauses;
  }
}
