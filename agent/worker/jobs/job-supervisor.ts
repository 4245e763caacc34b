import type { Grant, JobRef, Request } from "../../../control-plane/protocol";
import { reason } from "../../host/log";
import { sleep } from "../../host/waiting";
import type { DaemonHost, DaemonProcess, DaemonRecord } from "../daemon/daemon-host";
import { secretsOf } from "../daemon/daemon-secrets";
import { type DaemonEnvironment, daemonEnvironment, JobSettingsError } from "../daemon/environment";
import type { PortPool } from "../daemon/free-port";
import type { LeaseKeeper } from "../lease-keeper";
import { withoutSecrets } from "../without-secrets";
import { type JobPorts, type StopOrder, SupervisedJob } from "./job";
import { RecentFailures } from "./recent-failures";

export interface SupervisorPorts extends JobPorts {
  readonly host: DaemonHost;
  readonly ports: Pick<PortPool, "take" | "keep" | "putBack">;
  /** Resolves with whether this machine may hold a job now; asked before a grant is taken up. */
  readonly admit: () => Promise<boolean>;
  readonly lease: Pick<LeaseKeeper, "valid" | "lapses">;
  /** How long a daemon may run here, over all lives of the agent. @default - as long as it takes */
  readonly maxJobAgeMs?: number;
  /** Told whenever a job came or went. */
  readonly changed: () => void;
}

/** About 24 days; a timer takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Between two attempts to say that a grant is taken up. */
const STARTED_RETRY_MS = 1_000;

/** How long no job is taken after daemons could not be started, so many times in a row: their disk is full, say. */
const unableMs = (inARow: number): number => Math.min(300_000, 10_000 * 2 ** (inARow - 1));

/** The jobs of one worker: one daemon each, in at most so many slots. */
export class JobSupervisor {
  private readonly jobs = new Map<string, SupervisedJob>();
  private readonly daemons = new Map<string, DaemonProcess>();
  private lost: JobRef[] = [];
  /** Of jobs that have left since it was last asked for. */
  private lagOfLeftMs: number | undefined;
  /** Jobs whose daemons did not stop in time when they were asked to, and were ended. */
  overdue = 0;
  /** Jobs that failed on daemons which were started here, or could not be. */
  failures = 0;
  private readonly recentFailures = new RecentFailures();
  /** Times that daemons could not be started since the last one that could; those of one claim are one time. */
  private notStarted = 0;
  private unableUntil = 0;

  constructor(
    private readonly slots: number,
    private readonly ports: SupervisorPorts,
  ) {}

  /** Slots for which jobs may be claimed: none for a while after a daemon could not be started here, so that others get the job. */
  get free(): number {
    if (performance.now() < this.unableUntil) return 0;
    return Math.max(0, this.slots - this.jobs.size);
  }

  /** Jobs that hold a slot, until their last word is said. */
  get used(): number {
    return this.jobs.size;
  }

  /** What heartbeats list: everything of which a daemon may be alive. */
  running(): Request<"heartbeat">["running"] {
    return [...this.jobs.values()].filter(({ alive }) => alive).map((job) => job.heartbeatEntry());
  }

  /** Jobs whose daemons ended because the lease ran out, until a heartbeat that lists them was answered. */
  get released(): readonly JobRef[] {
    return this.lost;
  }

  releasedHeard(heard: readonly JobRef[]): void {
    this.lost = this.lost.filter((ref) => !heard.includes(ref));
  }

  /** Takes up the daemons that an earlier life of the agent left alive. */
  async adopt(): Promise<void> {
    for (const daemon of await this.ports.host.survivors()) {
      const { record } = daemon;
      this.ports.ports.keep(record.port);
      const job = this.enter(record, record.onDisconnect);
      job.secrets = daemon.secrets;
      this.ports.log.info("job found running", { ...job.ref, job: record.name, port: record.port });
      // The lease that counts is the session's that is about to open; the guard has kept the one before.
      this.live(job, daemon, this.ports.lease.lapses);
    }
  }

  /**
   * Takes up a grant. Resolves at once; a grant that the lease's end overtook, or that came twice, is not started.
   *
   * @param lapses how often the lease had run out when the grant was asked for.
   */
  start(grant: Grant, lapses: number): void {
    const { lease, log } = this.ports;
    if (this.jobs.get(grant.jobId)?.ref.fence === grant.fence) return;
    if (!lease.valid || lease.lapses !== lapses || this.jobs.has(grant.jobId) || this.free === 0) {
      this.decline(grant);
      return;
    }
    const job = this.enter(grant, grant.spec.onDisconnect);
    log.info("job granted", { ...job.ref, job: grant.spec.name, attempt: grant.attempt });
    void this.launch(job, grant, lapses);
  }

  /** Gives a grant back that came too late to be taken up. */
  decline({ jobId, fence }: JobRef): void {
    this.lost.push({ jobId, fence });
    this.ports.changed();
  }

  /** Whether the job is here under that fence; then its daemon is ended as ordered. */
  stop(ref: JobRef, order: StopOrder): boolean {
    const job = this.jobs.get(ref.jobId);
    if (!job || job.ref.fence !== ref.fence) return false;
    job.stop(order);
    return true;
  }

  /** Ends every daemon; with `cause` `lease` only those that may not outlive it. */
  stopAll(order: StopOrder): void {
    for (const job of this.jobs.values()) {
      if (order.cause !== "lease" || job.onDisconnect === "stop") job.stop(order);
    }
  }

  /** Figures of every job that gave any. */
  async metrics(): Promise<Request<"metrics">["jobs"]> {
    const all = [...this.jobs.values()].map(async (job) =>
      job.metrics(await this.daemons.get(job.ref.jobId)?.memoryBytes()),
    );
    return (await Promise.all(all)).filter((figures) => figures !== undefined);
  }

  /** Jobs whose daemon does not serve, those that failed since this was last asked, and those that wait for another start. */
  takeUnhealthy(): number {
    const ill = [...this.jobs.values()].filter(({ healthy, alive }) => alive && !healthy);
    const failed = this.recentFailures.take((jobId) => this.jobs.has(jobId));
    return new Set([...ill.map(({ ref }) => ref.jobId), ...failed]).size;
  }

  /** The largest lag that a daemon told since this was last asked; undefined when none did. */
  takeLargestLagMs(): number | undefined {
    let largest = this.lagOfLeftMs;
    this.lagOfLeftMs = undefined;
    for (const job of this.jobs.values()) {
      largest = larger(largest, job.largestLagMs);
      job.largestLagMs = undefined;
    }
    return largest;
  }

  private enter(ref: JobRef, onDisconnect: "stop" | "keep"): SupervisedJob {
    const job = new SupervisedJob(ref, onDisconnect, this.ports);
    this.jobs.set(ref.jobId, job);
    this.ports.changed();
    return job;
  }

  private leave(job: SupervisedJob): void {
    this.lagOfLeftMs = larger(this.lagOfLeftMs, job.largestLagMs);
    if (this.jobs.get(job.ref.jobId) === job) this.jobs.delete(job.ref.jobId);
    this.ports.changed();
  }

  private async launch(job: SupervisedJob, grant: Grant, lapses: number): Promise<void> {
    const { host, lease, log, ports, quirks } = this.ports;
    const begunAt = performance.now();
    const deadlineAt = begunAt + grant.deadlineMs;
    const overtaken = () => !lease.valid || lease.lapses !== lapses || job.stopOrder !== undefined;
    let port: number | undefined;
    try {
      port = await ports.take();
      const environment = daemonEnvironment(grant, port, quirks);
      job.secrets = secretsOf(environment);
      const admitted = await this.ports.admit();
      if (!admitted || !(await this.confirm(job, deadlineAt, overtaken)) || overtaken()) {
        ports.putBack(port);
        return this.refuse(job);
      }
      const record = recordOf(grant, port, environment);
      const daemon = await host.start({ record, ...environment });
      this.notStarted = 0;
      log.info("daemon started", { ...job.ref, job: grant.spec.name, port });
      this.live(job, daemon, lapses, grant.attempt);
    } catch (error) {
      if (port !== undefined) ports.putBack(port);
      const why = withoutSecrets(reason(error), job.secrets);
      log.warn("job not started", { ...job.ref, reason: why });
      // Where it may not run any more, that is why: neither the job nor this machine is at fault.
      if (overtaken()) return this.refuse(job);
      const isOurs = !(error instanceof JobSettingsError);
      // Nothing begins in a pause: what began before its end had failed, or was about to, when it was set.
      if (isOurs && begunAt >= this.unableUntil) this.unableUntil = performance.now() + unableMs(++this.notStarted);
      if (isOurs) this.failures += 1;
      const what = isOurs ? "the daemon could not be started: " : "";
      job.alive = false;
      this.recentFailures.add(job.ref.jobId, grant.attempt);
      await job.voice.end({
        kind: "report",
        report: { outcome: "failed", error: `${what}${why}`.slice(0, 4_000), logTail: [] },
      });
      this.leave(job);
    }
  }

  /** Says that the job is about to run, until that is heard or the grant is over. */
  private async confirm(job: SupervisedJob, deadlineAt: number, overtaken: () => boolean): Promise<boolean> {
    const { source } = this.ports;
    while (!overtaken() && performance.now() < deadlineAt) {
      const answer = await source.started(job.ref);
      if (answer === "taken") return true;
      if (answer === "fenced") {
        job.stop({ mode: "kill", cause: "fenced" });
        return false;
      }
      const againAt = Math.min(deadlineAt, performance.now() + Math.max(STARTED_RETRY_MS, answer));
      while (!overtaken() && performance.now() < againAt) await sleep(STARTED_RETRY_MS);
    }
    return false;
  }

  /** The grant was not taken up: it is free at once, unless it is somebody else's already. */
  private refuse(job: SupervisedJob): void {
    this.ports.log.warn("grant not taken up", { ...job.ref });
    job.alive = false;
    if (job.stopOrder?.cause !== "fenced") this.lost.push(job.ref);
    this.leave(job);
  }

  /** @param attempt of a daemon that was started here. @default - it was taken up */
  private live(job: SupervisedJob, daemon: DaemonProcess, lapses: number, attempt?: number): void {
    const { lease, log, ports } = this.ports;
    const { jobId } = job.ref;
    this.daemons.set(jobId, daemon);
    const leaseLost = () => !lease.valid || lease.lapses !== lapses;
    const { maxJobAgeMs = Number.POSITIVE_INFINITY } = this.ports;
    const aged = () => {
      log.info("job has run long enough here", { ...job.ref });
      job.stop({ mode: "quiesce", cause: "drain" });
    };
    const leftMs = Math.max(0, maxJobAgeMs - ageMs(daemon.record));
    const ageing = leftMs <= LONGEST_TIMER_MS ? setTimeout(aged, leftMs) : undefined;
    void job.follow(daemon, leaseLost, attempt === undefined).then(async (departure) => {
      this.daemons.delete(jobId);
      // The agent's next life removes what is left.
      await daemon.forget().catch((error) => log.warn("daemon not forgotten", { ...job.ref, reason: reason(error) }));
      ports.putBack(daemon.record.port);
      if (departure === "lost to the lease") this.lost.push(job.ref);
      if (departure === "failed") {
        if (attempt !== undefined) this.failures += 1;
        this.recentFailures.add(jobId, attempt ?? 1);
      }
      if (job.overdue) this.overdue += 1;
      clearTimeout(ageing);
      log.info("job left", { ...job.ref, job: daemon.record.name, departure });
      this.leave(job);
    });
  }
}

/** By the wall clock, which goes on between two lives of the agent. */
const ageMs = ({ startedAt = Date.now() }: DaemonRecord): number => Math.max(0, Date.now() - startedAt);

function larger(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

function recordOf(grant: Grant, port: number, environment: DaemonEnvironment) {
  const { slotName, tables, flushIntervalMs, snapshotOnly, gapPossible } = environment;
  return {
    jobId: grant.jobId,
    fence: grant.fence,
    name: grant.spec.name,
    onDisconnect: grant.spec.onDisconnect,
    startedAt: Date.now(),
    port,
    slotName,
    tables,
    flushIntervalMs,
    snapshotOnly,
    seq: grant.resume?.seq ?? -1,
    ...(gapPossible ? { gapAfter: grant.resume?.position ?? "" } : {}),
  };
}
