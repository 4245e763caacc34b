import type { Job } from "../../../../control-plane/lease/job";
import { isEnded } from "./job-ledger";
import type { Daemon, Machine } from "./machine";
import type { Server } from "./server";
import type { World } from "./world";

const TEN_MINUTES_MS = 600_000;

export interface Outcome {
  /** Moments at which a daemon was spawned or woke while another ran the same job. */
  readonly doubleRuns: number;
  readonly starts: number;
  /** Daemons that ended with their machine. */
  readonly vanished: number;
  /** From a daemon's end by loss of its machine or lease until the job ran again, in ms, sorted. */
  readonly recoveriesMs: readonly number[];
  readonly vanishedRecoveriesMs: readonly number[];
  /** Jobs that at the end had not run for ten minutes. */
  readonly stuck: readonly string[];
  /** Jobs that came to an end, one as often as it did. */
  readonly ends: number;
  /** Ends that did not last, though the operator did not wish so. */
  readonly overturned: number;
  /** Jobs that, long after the last fault, have neither ended nor run under their holder's lease. */
  readonly lost: readonly string[];
}

/** Watches the daemons of a fleet, as nobody inside the fleet can. */
export class Measurements {
  private doubleRuns = 0;
  private starts = 0;
  private vanished = 0;
  private readonly idleSince = new Map<string, { atMs: number; cause: string; keep: boolean }>();
  private readonly recoveriesMs: number[] = [];
  private readonly vanishedRecoveriesMs: number[] = [];

  constructor(
    private readonly world: World,
    private readonly server: Server,
    private readonly machines: () => readonly Machine[],
  ) {}

  spawned(daemon: Daemon): void {
    this.starts += 1;
    this.checkAlone(daemon.jobId);
    const idle = this.idleSince.get(daemon.jobId);
    this.idleSince.delete(daemon.jobId);
    if (!idle || idle.keep) return;
    if (idle.cause === "lease") this.recoveriesMs.push(this.world.nowMs - idle.atMs);
    if (idle.cause === "vanished") this.vanishedRecoveriesMs.push(this.world.nowMs - idle.atMs);
  }

  gone(daemon: Daemon, cause: string): void {
    if (cause === "vanished") this.vanished += 1;
    if (this.alive(daemon.jobId) === 0) {
      this.idleSince.set(daemon.jobId, { atMs: this.world.nowMs, cause, keep: daemon.keep });
    }
  }

  thawed(machine: Machine): void {
    for (const jobId of machine.daemons.keys()) this.checkAlone(jobId);
  }

  outcome(): Outcome {
    const ascending = (one: number, other: number): number => one - other;
    const stuck = [...this.server.jobs.keys()].filter(
      (jobId) => this.world.nowMs - (this.idleSince.get(jobId)?.atMs ?? this.world.nowMs) > TEN_MINUTES_MS,
    );
    return {
      doubleRuns: this.doubleRuns,
      starts: this.starts,
      vanished: this.vanished,
      recoveriesMs: this.recoveriesMs.sort(ascending),
      vanishedRecoveriesMs: this.vanishedRecoveriesMs.sort(ascending),
      stuck,
      ends: this.server.jobs.ends,
      overturned: this.server.jobs.overturned,
      lost: this.unaccounted(),
    };
  }

  /** Jobs that have neither ended nor run now, by the claim that the control plane knows and under a lease that it honours. */
  unaccounted(): string[] {
    const { jobs, state } = this.server;
    const runs = (jobId: string, { session, fence }: Job): boolean =>
      session !== null &&
      (state.sessions.get(session)?.expiresAtMs ?? 0) > this.world.nowMs &&
      this.machines().some((machine) => !machine.frozen && machine.daemons.get(jobId)?.fence === fence);
    return [...jobs].flatMap(([jobId, job]) => (isEnded(job) || runs(jobId, job) ? [] : jobId));
  }

  private checkAlone(jobId: string): void {
    if (this.alive(jobId) > 1) this.doubleRuns += 1;
  }

  private alive(jobId: string): number {
    return this.machines().filter((machine) => !machine.frozen && machine.daemons.has(jobId)).length;
  }
}
