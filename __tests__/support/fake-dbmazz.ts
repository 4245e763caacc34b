import type { DaemonEnd, DaemonHost, DaemonLaunch, DaemonProcess } from "../../agent/worker/daemon/daemon-host";
import { secretsOf } from "../../agent/worker/daemon/daemon-secrets";
import { type HttpRequest, type RunningServer, startHttpServer } from "./http-server";

export interface DbmazzRequest {
  readonly job: string;
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: string;
}

/** What goes wrong with a daemon, besides what is wrong with all of its version. */
export interface DbmazzFaults {
  /** Its setup fails: it stays alive and says so. */
  readonly setupError?: string;
  /** Its snapshot failed: it streams, and says so in its stage's text alone. */
  readonly snapshotFailed?: boolean;
  /** What its status says of its snapshot. @default - no chunk */
  readonly chunks?: { readonly done: number; readonly total: number };
  /** Another process answers on its port. */
  readonly answersAs?: { readonly slotName: string; readonly tables: readonly string[] };
  /** A stop is answered and nothing follows. */
  readonly ignoresStop?: boolean;
  /** Nothing answers on its port. */
  readonly deaf?: boolean;
  /** What is kept of it can be neither read nor removed. */
  readonly unreadable?: boolean;
}

/** One dbmazz 2.4 as its control API shows it, with what is unsafe about it. */
export class FakeDbmazz {
  confirmed = 25_165_824n;
  pending = 0;
  state: "running" | "paused" | "draining" | "stopped" = "running";
  /** Its replication slot was dropped. */
  slotDropped = false;
  readonly output: string[] = [];
  readonly signals: string[] = [];
  readonly ended: Promise<DaemonEnd>;
  private finish: (end: DaemonEnd) => void = () => {};
  private server: RunningServer | undefined;

  constructor(
    readonly launch: DaemonLaunch,
    private readonly requests: DbmazzRequest[],
    readonly faults: DbmazzFaults,
  ) {
    this.ended = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  get variables() {
    return this.launch.variables;
  }

  async listen(): Promise<void> {
    if (this.faults.deaf) return;
    this.server = await startHttpServer((request) => this.answer(request), { port: this.launch.record.port });
  }

  async end(end: DaemonEnd): Promise<void> {
    await this.server?.close();
    this.finish(end);
  }

  /** No handler: it is gone at once, whatever the signal. */
  async signal(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.signals.push(signal);
    await this.end({ status: null, signal });
  }

  /** Every answer is 200, also that of a daemon that serves nothing. */
  private answer({ method, url, headers, body }: HttpRequest) {
    const path = url.pathname.replace("/api/v1/", "");
    const contentType = headers["content-type"];
    this.requests.push({ job: this.launch.record.jobId, path: `${method} ${path}`, contentType, body });
    const text = (value: object, more = "") => ({
      status: 200,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(value).replace(/}$/, `${more}}`),
    });
    const { setupError, snapshotFailed, answersAs, ignoresStop } = this.faults;
    const streaming = snapshotFailed ? "Replicating (snapshot incomplete)" : "Replicating";
    switch (path) {
      case "health":
        return text({
          status: setupError || this.state === "stopped" ? "not_serving" : "serving",
          stage: setupError ? "setup" : "cdc",
          stage_detail: setupError ? "Setup failed" : streaming,
          error_detail: setupError ?? "",
        });
      case "cdc/status": {
        const { SOURCE_SLOT_NAME = "", TABLES = "" } = this.variables;
        const { slotName = SOURCE_SLOT_NAME, tables = TABLES.split(",") } = answersAs ?? {};
        const { done, total } = this.faults.chunks ?? { done: 0, total: 0 };
        const numbers = { pending_events: this.pending, snapshot_chunks_total: total, snapshot_chunks_done: done };
        return text(
          { state: this.state, slot_name: slotName, tables, snapshot_active: false, ...numbers },
          `,"current_lsn":${this.confirmed},"confirmed_lsn":${this.confirmed}`,
        );
      }
      case "cdc/metrics":
        return { status: 200, body: "[]" };
      case "cdc/pause":
        this.state = "paused";
        return text({ success: true, message: "Paused" });
      case "cdc/resume":
        if (this.state !== "paused") return text({ success: false, message: "Not paused" });
        this.state = "running";
        return text({ success: true, message: "Resumed" });
      case "cdc/drain":
        this.slotDropped = true;
        return text({ success: true, message: "Draining" });
      case "cdc/stop": {
        // A body that is not declared as JSON is none, and then the slot goes.
        const kept = contentType === "application/json" && body !== "" && JSON.parse(body).skip_slot_cleanup === true;
        if (!kept) this.slotDropped = true;
        this.state = "stopped";
        if (!ignoresStop) setTimeout(() => void this.end({ status: 0, signal: null }), 10);
        return text({ success: true, message: "Stopping" });
      }
      default:
        return { status: 404 };
    }
  }
}

/** Daemons of a test: all that were started, and all that was asked of them. */
export class FakeDaemonHost implements DaemonHost {
  readonly daemons: FakeDbmazz[] = [];
  readonly requests: DbmazzRequest[] = [];
  faults: (launch: DaemonLaunch) => DbmazzFaults = () => ({});

  async start(launch: DaemonLaunch): Promise<DaemonProcess> {
    const daemon = new FakeDbmazz(launch, this.requests, this.faults(launch));
    this.daemons.push(daemon);
    await daemon.listen();
    return processOf(daemon);
  }

  async survivors(): Promise<readonly DaemonProcess[]> {
    return [];
  }

  async close(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.end({ status: null, signal: "SIGKILL" })));
  }
}

function processOf(daemon: FakeDbmazz): DaemonProcess {
  return {
    record: daemon.launch.record,
    secrets: secretsOf(daemon.launch),
    ended: daemon.ended,
    signal: (name) => daemon.signal(name),
    memoryBytes: async () => undefined,
    lastLines: async (count) => {
      if (daemon.faults.unreadable) throw new Error("EIO: output.log");
      return daemon.output.slice(-count);
    },
    forget: async () => {
      if (daemon.faults.unreadable) throw new Error("ENOTEMPTY: the daemon's folder");
    },
  };
}
