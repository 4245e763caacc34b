import type { DaemonApi } from "../../../agent/worker/daemon/daemon-api";
import type { DaemonEnd, DaemonHost, DaemonProcess, DaemonRecord } from "../../../agent/worker/daemon/daemon-host";
import { streamingStatus } from "../../support/streaming-status";

/** One life of a stand-in daemon, on the clock of `performance.now()`. */
export interface DaemonLife {
  readonly workerId: string;
  readonly jobId: string;
  readonly fence: number;
  readonly startedAt: number;
  /** Undefined while it runs. */
  endedAt: number | undefined;
  /** The last position that it wrote. */
  written: bigint;
}

/** How often a daemon writes. */
const WRITE_MS = 10;

/** What the daemons of a whole fleet write to, and their lives in the order of their starts. */
export class RecordedSink {
  readonly lives: DaemonLife[] = [];
  /** What a daemon did after one with a larger fence had begun: nothing, if leases and fences hold. */
  readonly refused: string[] = [];
  private readonly jobs = new Map<string, { fence: number; position: bigint }>();

  of(jobId: string): readonly DaemonLife[] {
    return this.lives.filter((life) => life.jobId === jobId);
  }

  begin(workerId: string, { jobId, fence }: DaemonRecord): DaemonLife {
    const before = this.jobs.get(jobId) ?? { fence: 0, position: 1n };
    if (fence < before.fence) this.refused.push(`${jobId}: fence ${fence} began after ${before.fence}`);
    this.jobs.set(jobId, { ...before, fence: Math.max(fence, before.fence) });
    const life = { workerId, jobId, fence, startedAt: performance.now(), endedAt: undefined, written: before.position };
    this.lives.push(life);
    return life;
  }

  write(life: DaemonLife): void {
    const job = this.jobs.get(life.jobId);
    if (!job || job.fence !== life.fence) {
      this.refused.push(`${life.jobId}: fence ${life.fence} wrote after ${job?.fence} had begun`);
      return;
    }
    job.position += 1n;
    life.written = job.position;
  }

  /** Jobs of which two daemons ran at one moment. */
  doubleRuns(): readonly string[] {
    return this.lives.flatMap((life, index) => {
      const later = this.lives.slice(index + 1).filter(({ jobId }) => jobId === life.jobId);
      const overlap = later.find(({ startedAt }) => startedAt < (life.endedAt ?? Number.POSITIVE_INFINITY));
      return overlap ? [`${life.jobId}: fence ${overlap.fence} began before fence ${life.fence} had ended`] : [];
    });
  }
}

/** The daemons of one worker: they write until they are paused, and end when they are told to. */
export class RecordedDaemons implements DaemonHost {
  private readonly running = new Map<number, RecordedDaemon>();

  constructor(
    private readonly workerId: string,
    private readonly sink: RecordedSink,
  ) {}

  start: DaemonHost["start"] = async ({ record }) => {
    const daemon = new RecordedDaemon(record, this.sink.begin(this.workerId, record), this.sink);
    this.running.set(record.port, daemon);
    return daemon.process;
  };

  survivors: DaemonHost["survivors"] = async () => [];

  api = (port: number): DaemonApi => {
    const daemon = this.running.get(port);
    if (!daemon) throw new Error(`no daemon was started on port ${port}`);
    return daemon.api;
  };

  /** Ends them all, as the end of their machine does. */
  end(): void {
    for (const daemon of this.running.values()) daemon.end({ status: null, signal: "SIGKILL" });
  }
}

class RecordedDaemon {
  readonly process: DaemonProcess;
  private state: "running" | "paused" = "running";
  private finish: (end: DaemonEnd) => void = () => {};
  private readonly writing: NodeJS.Timeout;

  constructor(
    private readonly record: DaemonRecord,
    private readonly life: DaemonLife,
    sink: RecordedSink,
  ) {
    this.writing = setInterval(() => {
      if (this.state === "running") sink.write(life);
    }, WRITE_MS);
    this.process = {
      record,
      secrets: [],
      ended: new Promise((resolve) => {
        this.finish = resolve;
      }),
      signal: async (signal) => this.end({ status: null, signal }),
      memoryBytes: async () => undefined,
      lastLines: async () => [],
      forget: async () => {},
    };
  }

  readonly api: DaemonApi = {
    health: async () => ({ status: "serving", stage: "cdc", stage_detail: "", error_detail: "" }),
    status: async () =>
      streamingStatus({
        state: this.state,
        confirmed_lsn: this.life.written,
        slot_name: this.record.slotName,
        tables: [...this.record.tables],
      }),
    figures: async () => undefined,
    pause: async () => {
      this.state = "paused";
      return true;
    },
    resume: async () => {
      this.state = "running";
      return true;
    },
    stop: async () => {
      setTimeout(() => this.end({ status: 0, signal: null }), 1);
      return true;
    },
  };

  end(end: DaemonEnd): void {
    clearInterval(this.writing);
    this.life.endedAt ??= performance.now();
    this.finish(end);
  }
}
