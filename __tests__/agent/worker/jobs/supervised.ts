import { randomUUID } from "node:crypto";
import { createLog } from "../../../../agent/host/log";
import { daemonApi } from "../../../../agent/worker/daemon/daemon-api";
import { PortPool } from "../../../../agent/worker/daemon/free-port";
import { type DaemonProgram, daemonQuirks } from "../../../../agent/worker/daemon/quirks";
import type { JobSource, ReleaseReason, Taken, TerminalReport } from "../../../../agent/worker/jobs/job-source";
import { JobSupervisor } from "../../../../agent/worker/jobs/job-supervisor";
import type { Checkpoint, Grant, JobRef, JobSpec } from "../../../../control-plane/protocol";
import { FakeDaemonHost } from "../../../support/fake-dbmazz";
import { eventually } from "../../daemon/eventually";

export type Word =
  | { readonly kind: "started"; readonly ref: JobRef }
  | { readonly kind: "progress"; readonly ref: JobRef; readonly checkpoint: Checkpoint; readonly gapAfter?: string }
  | { readonly kind: "report"; readonly ref: JobRef; readonly report: TerminalReport }
  | {
      readonly kind: "release";
      readonly ref: JobRef;
      readonly reason: ReleaseReason;
      readonly checkpoint?: Checkpoint;
    };

/** A source that takes every word and keeps it. */
export class RecordingSource implements JobSource {
  readonly words: Word[] = [];
  /** Number of the newest checkpoint that was taken. */
  newest = -1;
  claim = async () => [];
  started = async (ref: JobRef): Promise<Taken | number> => {
    this.words.push({ kind: "started", ref });
    return "taken";
  };
  progress = async (ref: JobRef, checkpoint: Checkpoint, gapAfter?: string) => {
    this.words.push({ kind: "progress", ref, checkpoint, ...(gapAfter === undefined ? {} : { gapAfter }) });
    this.newest = Math.max(this.newest, checkpoint.seq);
    return this.newest;
  };
  report = async (ref: JobRef, report: TerminalReport) => {
    this.words.push({ kind: "report", ref, report });
    return "taken" as const;
  };
  release = async (ref: JobRef, reason: ReleaseReason, checkpoint?: Checkpoint) => {
    this.words.push({ kind: "release", ref, reason, ...(checkpoint ? { checkpoint } : {}) });
    return "taken" as const;
  };

  of<Kind extends Word["kind"]>(kind: Kind): Extract<Word, { kind: Kind }>[] {
    return this.words.filter((word): word is Extract<Word, { kind: Kind }> => word.kind === kind);
  }
}

export const PASSWORD = "canary-p@ss/word";

export function jobSpec(spec: Partial<JobSpec> = {}): JobSpec {
  const side = (database: string) => ({
    engine: "postgres",
    url: `postgres://db.internal:5432/${database}`,
    user: "cdc",
    password: PASSWORD,
    options: {},
  });
  return {
    name: "orders",
    source: side("shop"),
    sink: side("copy"),
    tables: ["orders", "order_items"],
    snapshot: false,
    onDisconnect: "stop",
    options: { FLUSH_INTERVAL_MS: "50" },
    ...spec,
  };
}

export function grantOf(grant: Partial<Omit<Grant, "spec">> & { readonly spec?: Partial<JobSpec> } = {}): Grant {
  return {
    jobId: randomUUID(),
    fence: 1,
    attempt: 1,
    deadlineMs: 10_000,
    resume: null,
    ...grant,
    spec: jobSpec(grant.spec),
  };
}

/** A supervisor whose daemons are fakes that answer over HTTP, with a lease that the test holds. */
function supervised({
  slots = 4,
  daemon = { kind: "dbmazz", version: "2.4.0" } as DaemonProgram,
  ports = new PortPool(),
  maxJobAgeMs = Number.POSITIVE_INFINITY,
} = {}) {
  const host = new FakeDaemonHost();
  const source = new RecordingSource();
  const lines: string[] = [];
  const lease = { valid: true, lapses: 0 };
  const jobs = new JobSupervisor(slots, {
    host,
    source,
    lease,
    api: daemonApi,
    ports,
    quirks: daemonQuirks(daemon),
    log: createLog((line) => void lines.push(line)),
    admit: async () => true,
    progressMs: () => 500,
    maxJobAgeMs,
    changed: () => {},
  });
  return { host, source, lines, lease, jobs };
}

/** Makes supervisors for a file's tests; their daemons end with each test. */
export function useWorkers() {
  let closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const close of closing) await close();
    closing = [];
  });

  return (props: Parameters<typeof supervised>[0] = {}) => {
    const parts = supervised(props);
    closing.push(() => parts.host.close());
    const idle = () => eventually("no job is left", async () => expect(parts.jobs.used).toBe(0), 60_000);
    const streaming = () =>
      eventually("all stream", async () => {
        const running = parts.jobs.running();
        expect(running.length).toBeGreaterThan(0);
        expect(running.filter(({ phase, status }) => phase !== "streaming" || status !== "running")).toEqual([]);
      });
    return { ...parts, idle, streaming };
  };
}
