import { createLog } from "../../../agent/host/log";
import { runAgent } from "../../../agent/worker/agent";
import type { ControlPlaneClient } from "../../../agent/worker/control-plane-client";
import type { CdcStatus, DaemonApi, Health } from "../../../agent/worker/daemon/daemon-api";
import type { DaemonEnd, DaemonHost, DaemonRecord } from "../../../agent/worker/daemon/daemon-host";
import { PortPool } from "../../../agent/worker/daemon/free-port";
import { daemonQuirks } from "../../../agent/worker/daemon/quirks";
import { streamingStatus } from "../../support/streaming-status";

/** Daemons that only exist: they are alive from their start until they are signalled. */
class VirtualHost implements DaemonHost {
  /** @param says, health what a daemon's status and health have that are not of one with nothing to do */
  constructor(
    private readonly says: () => Partial<CdcStatus>,
    private readonly health: () => Partial<Health>,
  ) {}

  readonly alive = new Set<string>();
  readonly started: string[] = [];
  private readonly byPort = new Map<number, DaemonRecord>();

  start: DaemonHost["start"] = async ({ record }) => {
    let end: (how: DaemonEnd) => void = () => {};
    const ended = new Promise<DaemonEnd>((resolve) => {
      end = resolve;
    });
    this.alive.add(record.jobId);
    this.byPort.set(record.port, record);
    this.started.push(record.jobId);
    const signal = async (name: string): Promise<void> => {
      this.alive.delete(record.jobId);
      end({ status: null, signal: name });
    };
    return {
      record,
      secrets: [],
      ended,
      signal,
      memoryBytes: async () => 0,
      lastLines: async () => [],
      forget: async () => {},
    };
  };
  survivors: DaemonHost["survivors"] = async () => [];

  /** A daemon that streams. */
  api = (port: number): DaemonApi => {
    const { slotName: slot_name = "", tables = [] } = this.byPort.get(port) ?? {};
    return {
      health: async () => ({ status: "serving", stage: "cdc", stage_detail: "", error_detail: "", ...this.health() }),
      status: async () => streamingStatus({ slot_name, tables, ...this.says() }),
      figures: async () => undefined,
      pause: async () => true,
      resume: async () => true,
      stop: async () => true,
    };
  };
}

/**
 * An agent as it is shipped, on the clock of jest's fake timers: all that is not itself is made up.
 * @param says what the status of each daemon has that is not of one with nothing to do
 * @param health the same of its health
 */
export function startVirtualAgent(
  post: ControlPlaneClient["post"],
  says: () => Partial<CdcStatus> = () => ({}),
  health: () => Partial<Health> = () => ({}),
) {
  const host = new VirtualHost(says, health);
  const handOver = new AbortController();
  const ended = runAgent(
    {
      worker: { workerId: "w", agentVersion: "1.0.0", daemonVersion: "1.0.0", pool: "default", labels: {}, slots: 2 },
      drain: { mode: "handoff", deadlineSeconds: 60 },
    },
    {
      log: createLog(() => {}),
      controlPlane: { post },
      deploymentToken: async () => "token",
      host,
      ports: new PortPool(),
      quirks: daemonQuirks({ kind: "dbmazz", version: "2.4.0" }),
      api: host.api,
      holdLease: () => {},
      notify: async () => {},
      watchdogPeriodMs: undefined,
      upgrades: undefined,
      cloud: undefined,
    },
    { stop: new AbortController().signal, handOver: handOver.signal },
  );
  const leave = async (): Promise<void> => {
    handOver.abort();
    await jest.advanceTimersByTimeAsync(120_000);
    await ended;
  };
  return { host, leave };
}
