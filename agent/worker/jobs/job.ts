import { type Checkpoint, dropOfSlot, type JobRef, type Phase, type Request } from "../../../control-plane/protocol";
import { type Log, reason } from "../../host/log";
import { Nap } from "../../host/nap";
import { type CdcStatus, type DaemonApi, type Figures, type Health, lsnText } from "../daemon/daemon-api";
import type { DaemonEnd, DaemonProcess, DaemonRecord } from "../daemon/daemon-host";
import { MYSQL_SLOT } from "../daemon/environment";
import type { DaemonQuirks } from "../daemon/quirks";
import { withoutSecrets } from "../without-secrets";
import { missingCopyProof } from "./copy-proof";
import type { JobSource } from "./job-source";
import { JobVoice, type LastWord } from "./job-voice";
import { endNow, type Quiesced, quiesce } from "./quiesce";

/** Why and how a daemon is to end. */
export interface StopOrder {
  /** `kill`: at once. `quiesce`: in a way that lets the job go on elsewhere. `cleanup`: the job is deleted. */
  readonly mode: "kill" | "quiesce" | "cleanup";
  /**
   * `order`: the operator's. `drain`: the worker lets the job go. `lease`: it ran out. `fenced`: the job is somebody
   * else's already.
   */
  readonly cause: "order" | "drain" | "lease" | "fenced";
  /** On the clock of `performance.now()`: when the daemon must be gone. @default - as long as it takes */
  readonly deadlineAt?: number;
}

export interface JobPorts {
  readonly source: JobSource;
  readonly api: (port: number) => DaemonApi;
  readonly quirks: DaemonQuirks;
  readonly log: Log;
  /** How often to make a checkpoint, as the control plane wants it. */
  readonly progressMs: () => number;
}

/** How a job left this worker. */
export type Departure = "settled" | "failed" | "lost to the lease";

const LOOK_MS = 1_000;
/** A daemon may take this long to answer for the first time: it connects to its source before. */
const START_PATIENCE_MS = 90_000;
const SILENCE_PATIENCE_MS = 30_000;
const KILL_GRACE_MS = 1_000;
const LOG_LINES = 50;
/** How a dbmazz says that it streams after a snapshot that failed. */
const SNAPSHOT_INCOMPLETE = /snapshot incomplete/i;
/** Longest text the protocol takes. */
const TEXT_LENGTH = 4_000;

const RANK: Readonly<Record<StopOrder["mode"], number>> = { quiesce: 1, cleanup: 2, kill: 3 };

const endOf = (order: StopOrder | undefined): number => order?.deadlineAt ?? Number.POSITIVE_INFINITY;

/** A job on this worker under one fence: from the grant, or from being found running, until its last word is said. */
export class SupervisedJob {
  status: "starting" | "running" | "stopping" = "starting";
  phase: Phase = "init";
  detail = "";
  /** Whether a daemon may be alive: then heartbeats list the job. */
  alive = true;
  healthy = false;
  /** The daemon did not stop in time, and was ended. */
  overdue = false;
  /** The newest figures, and the largest lag since they were last asked for. */
  figures: Figures | undefined;
  largestLagMs: number | undefined;
  checkpoint: Checkpoint | undefined;
  /** Values that no log and no report may show. */
  secrets: readonly string[] = [];
  readonly ref: JobRef;
  readonly voice: JobVoice;
  private order: StopOrder | undefined;
  private quiesced: Quiesced | undefined;
  private readonly nap = new Nap();
  private last: { phase: Phase; lsn: bigint; chunks: number } | undefined;
  /** What the daemon said of itself last. */
  private lastStatus: CdcStatus | undefined;

  constructor(
    ref: JobRef,
    readonly onDisconnect: "stop" | "keep",
    private readonly ports: JobPorts,
  ) {
    this.ref = { jobId: ref.jobId, fence: ref.fence };
    const fenced = () => this.stop({ mode: "kill", cause: "fenced" });
    this.voice = new JobVoice(this.ref, ports.source, fenced, (seq) => this.numberAfter(seq));
  }

  /** The weightier wish counts, of two that weigh the same the sooner; whichever counts, the nearest end does. */
  stop(order: StopOrder): void {
    const held = this.order;
    const sooner = endOf(order) < endOf(held);
    const counts = !held || RANK[order.mode] > RANK[held.mode] || (sooner && order.mode === held.mode) ? order : held;
    const deadlineAt = Math.min(endOf(order), endOf(held));
    this.order = Number.isFinite(deadlineAt) ? { ...counts, deadlineAt } : counts;
    this.nap.wake();
  }

  get stopOrder(): StopOrder | undefined {
    return this.order;
  }

  heartbeatEntry(): Request<"heartbeat">["running"][number] {
    return { ...this.ref, status: this.status, phase: this.phase, ...(this.detail ? { detail: this.detail } : {}) };
  }

  /** Figures for the control plane, as far as the daemon gave any. */
  async metrics(daemonMemory: number | undefined): Promise<Request<"metrics">["jobs"][number] | undefined> {
    const { figures } = this;
    if (!figures) return undefined;
    const whole = (value: number) => Math.max(0, Math.round(value) || 0);
    return {
      ...this.ref,
      lagBytes: whole(figures.lag_bytes),
      lagMs: whole(figures.replication_lag_ms),
      eventsPerSecond: Math.max(0, figures.events_per_second || 0),
      eventsTotal: whole(figures.total_events_processed),
      memoryBytes: whole(daemonMemory ?? figures.memory_bytes),
      cpuMillicores: whole(figures.cpu_millicores),
    };
  }

  /**
   * Follows the daemon to its end, ends it when that is ordered, and says the last word.
   *
   * @param isTakenUp whether another life of the agent has started it.
   */
  async follow(daemon: DaemonProcess, leaseLost: () => boolean, isTakenUp = false): Promise<Departure> {
    const { record } = daemon;
    const { gapAfter } = record;
    const api = this.ports.api(record.port);
    if (gapAfter !== undefined) {
      this.checkpoint = { seq: record.seq + 1, phase: "init", position: gapAfter };
      this.voice.progress(this.checkpoint, gapAfter);
      this.ports.log.warn("changes may be missing", { ...this.ref, lastConfirmed: gapAfter || "not known" });
    }
    const failure = await this.watch(daemon, api, isTakenUp);
    const end = await daemon.ended;
    this.alive = false;
    if (this.order?.cause === "fenced") {
      this.voice.silence();
      return "settled";
    }
    if (this.onDisconnect === "stop" && (this.order?.cause === "lease" || leaseLost())) {
      this.voice.silence();
      return "lost to the lease";
    }
    const word = await this.lastWord(daemon, end, failure);
    await this.voice.end(word);
    return word.kind === "report" && word.report.outcome === "failed" && !this.order ? "failed" : "settled";
  }

  /** Looks at the daemon until it has ended or must; gives what was wrong with it, if that is why it was ended. */
  private async watch(daemon: DaemonProcess, api: DaemonApi, isTakenUp: boolean): Promise<string | undefined> {
    let mayBePaused = isTakenUp;
    const startedAt = performance.now();
    let answeredAt: number | undefined;
    let progressAt = startedAt;
    let ended = false;
    void daemon.ended.then(() => {
      ended = true;
      this.nap.wake();
    });
    for (;;) {
      await this.nap.sleep(LOOK_MS);
      if (ended) return undefined;
      if (this.order) {
        await this.carryOut(daemon, api);
        return undefined;
      }
      try {
        const [health, status] = [await api.health(), await api.status()];
        answeredAt = performance.now();
        const fault = this.faultOf(health, status, daemon.record);
        if (fault !== undefined) {
          await endNow(daemon, 0);
          return fault;
        }
        this.see(health, status);
        // By a life of the agent that ended before it came to stop the daemon.
        if (mayBePaused && status.state === "paused" && !this.order) await api.resume();
        mayBePaused = false;
        this.figures = await api.figures();
        if (this.figures) this.largestLagMs = Math.max(this.largestLagMs ?? 0, this.figures.replication_lag_ms);
        if (performance.now() - progressAt >= this.ports.progressMs()) {
          progressAt = performance.now();
          this.makeCheckpoint(status, daemon.record);
        }
      } catch (error) {
        this.healthy = false;
        const silentMs = performance.now() - (answeredAt ?? startedAt);
        if (silentMs > (answeredAt === undefined ? START_PATIENCE_MS : SILENCE_PATIENCE_MS)) {
          await endNow(daemon, KILL_GRACE_MS);
          return `the daemon did not answer for ${Math.round(silentMs / 1_000)} s: ${reason(error)}`;
        }
      }
    }
  }

  private faultOf(health: Health, status: CdcStatus, record: DaemonRecord): string | undefined {
    if (!isOf(record, status)) {
      return `the daemon's port is answered by another one: slot ${status.slot_name}, tables ${status.tables.join(", ")}`;
    }
    if (this.ports.quirks.failedSetupHangs && health.stage === "setup" && health.error_detail !== "") {
      return `setup failed: ${health.error_detail}`;
    }
    if (this.ports.quirks.failedSnapshotStreams && SNAPSHOT_INCOMPLETE.test(health.stage_detail)) {
      return `the snapshot failed, rows are missing in the sink: ${health.stage_detail}; the daemon's log has its reason`;
    }
    return undefined;
  }

  private see(health: Health, status: CdcStatus): void {
    this.healthy = health.status === "serving" && (health.stage === "cdc" || health.stage === "snapshot");
    if (this.healthy) this.status = "running";
    this.phase = health.stage === "cdc" ? "streaming" : health.stage === "snapshot" ? "snapshot" : "init";
    const detail = [health.stage_detail, health.error_detail].filter(Boolean).join(": ");
    this.detail = this.redacted(detail);
    if (status.state === "stopped") this.healthy = false;
    this.lastStatus = status;
  }

  /** A checkpoint only when the job got on: a new one tells the control plane that its retries may start over. */
  private makeCheckpoint(status: CdcStatus, record: DaemonRecord): void {
    const now = { phase: this.phase, lsn: status.confirmed_lsn, chunks: status.snapshot_chunks_done };
    const { last } = this;
    if (now.phase === "init") return;
    if (last && last.phase === now.phase && last.lsn === now.lsn && last.chunks === now.chunks) return;
    this.last = now;
    const seq = (this.checkpoint?.seq ?? record.seq) + 1;
    this.checkpoint = { seq, phase: now.phase, position: lsnText(now.lsn) };
    this.voice.progress(this.checkpoint);
  }

  /** The agent's earlier life has told of checkpoints that this one knows nothing of: what came after them is told again. */
  private numberAfter(newest: number): void {
    const { checkpoint } = this;
    if (!checkpoint || newest <= checkpoint.seq) return;
    // Of a start, the daemon has got on since.
    if (checkpoint.phase === "init") this.checkpoint = { ...checkpoint, seq: newest };
    else {
      this.checkpoint = { ...checkpoint, seq: newest + 1 };
      this.voice.progress(this.checkpoint);
    }
  }

  private async carryOut(daemon: DaemonProcess, api: DaemonApi): Promise<void> {
    this.status = "stopping";
    const remainingMs = () => endOf(this.order) - performance.now();
    let over = false;
    const quiesced = async () => {
      const status = this.lastStatus ?? (await api.status().catch(() => undefined));
      if (!status || !isOf(daemon.record, status)) {
        // Whoever has the port may be another's daemon, or none: it is told nothing.
        await endNow(daemon, KILL_GRACE_MS);
        this.quiesced = "signalled";
        return;
      }
      this.quiesced = await quiesce({
        daemon,
        api,
        keepSlot: () => this.order?.mode !== "cleanup",
        remainingMs,
        seen: (status) => this.makeCheckpoint(status, daemon.record),
      });
      this.overdue ||= this.quiesced === "signalled";
    };
    const ending =
      this.order?.mode === "kill" ? endNow(daemon, this.order.cause === "fenced" ? 0 : KILL_GRACE_MS) : quiesced();
    void ending.finally(() => {
      over = true;
      this.nap.wake();
    });
    // A stronger order, or a nearer end, may come while the daemon is being quiesced.
    while (!over) {
      await this.nap.sleep(Math.min(60_000, Math.max(0, remainingMs())));
      if (!over && (this.order?.mode === "kill" || remainingMs() <= 0)) {
        await endNow(daemon, 0);
        await ending;
        this.quiesced = "signalled";
      }
    }
  }

  private async lastWord(daemon: DaemonProcess, end: DaemonEnd, failure: string | undefined): Promise<LastWord> {
    const { order, checkpoint } = this;
    const kept = checkpoint ? { checkpoint } : {};
    if (order?.cause === "drain") return { kind: "release", reason: "drain", ...kept };
    const lines = await daemon.lastLines(LOG_LINES).catch((error) => {
      this.ports.log.warn("output not read", { ...this.ref, reason: reason(error) });
      return [];
    });
    const logTail = lines.map((line) => this.redacted(line).slice(0, TEXT_LENGTH));
    const exitCode = end.status === null ? {} : { exitCode: end.status };
    const report = (outcome: "completed" | "stopped" | "failed", error?: string): LastWord => ({
      kind: "report",
      report: {
        outcome,
        logTail,
        ...exitCode,
        ...kept,
        ...(outcome === "stopped" && order?.mode === "cleanup" && { cleaned: true }),
        ...(error === undefined ? {} : { error: this.redacted(error).slice(0, TEXT_LENGTH) }),
      },
    });
    const left = order?.mode === "cleanup" ? this.leftBehind(daemon.record, end) : undefined;
    if (left !== undefined) this.ports.log.warn("cleanup failed", { ...this.ref, reason: left });
    if (left !== undefined) return report("failed", left);
    if (order) return report("stopped");
    if (failure !== undefined) return report("failed", failure);
    const unasked = `the daemon ended unasked (${howOf(end)})`;
    if (end.status === 0 && daemon.record.snapshotOnly) {
      // A copy ends while its daemon runs, not where its sink failed or somebody stopped it.
      const { state = "running" } = this.lastStatus ?? {};
      if (state !== "running")
        return report("failed", `${unasked} before its copy was complete: it was last seen ${state}`);
      const missing = this.ports.quirks.exit0OnStreamError ? missingCopyProof(lines, this.lastStatus) : undefined;
      return missing === undefined ? report("completed") : report("failed", `${unasked}; ${missing}`);
    }
    // Also a status of 0: dbmazz ends so when its stream breaks.
    return report("failed", unasked);
  }

  /** Why a deleted job's slot may still be in its source; undefined when its daemon took the stop that drops it, and was seen to end well. */
  private leftBehind({ slotName }: DaemonRecord, end: DaemonEnd): string | undefined {
    if (slotName === MYSQL_SLOT) return undefined;
    if (this.quiesced === "slot dropped" && end.status === 0) return undefined;
    return `${this.howCleanupEnded(end)}; replication slot ${slotName} may be left in the source, which keeps its log for it: drop it there: ${dropOfSlot(slotName)}`;
  }

  private howCleanupEnded(end: DaemonEnd): string {
    const isUnseen = end.status === null && end.signal === null;
    if (this.quiesced === "signalled") return "the cleanup failed: the daemon had to be ended by signals";
    if (this.quiesced === "slot dropped" && isUnseen)
      return "the cleanup may have failed: the daemon took the stop, but nobody saw how it ended";
    return `the cleanup failed: the daemon ended (${howOf(end)}) without it`;
  }

  private redacted(text: string): string {
    return withoutSecrets(text, this.secrets);
  }
}

/** Whoever holds the port answers; a daemon whose port was taken runs on without one. */
const isOf = ({ slotName, tables }: DaemonRecord, status: CdcStatus): boolean =>
  status.slot_name === slotName && [...status.tables].sort().join() === [...tables].sort().join();

const howOf = ({ status, signal }: DaemonEnd): string => signal ?? (status === null ? "unseen" : `status ${status}`);
