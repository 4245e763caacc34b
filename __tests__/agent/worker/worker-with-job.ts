import { getEventListeners } from "node:events";
import type { Aws, AwsParameters } from "../../../agent/host/aws";
import { createLog } from "../../../agent/host/log";
import { type AgentPorts, runAgent } from "../../../agent/worker/agent";
import { ec2Cloud } from "../../../agent/worker/cloud";
import { type ControlPlaneClient, ControlPlaneError } from "../../../agent/worker/control-plane-client";
import type { DaemonApi, Figures } from "../../../agent/worker/daemon/daemon-api";
import type { DaemonEnd, DaemonHost } from "../../../agent/worker/daemon/daemon-host";
import { daemonQuirks } from "../../../agent/worker/daemon/quirks";
import type { DrainMode } from "../../../agent/worker/drain";
import { type Action, type Grant, type MessageName, type Request, refOf } from "../../../control-plane/protocol";
import { streamingStatus } from "../../support/streaming-status";
import { INSTANCE, INSTANCE_CONFIG } from "./instance-config";
import { grantOf } from "./jobs/supervised";

export const STATE = "meta-data/autoscaling/target-lifecycle-state";
export const SPOT = "meta-data/spot/instance-action";
export const REBALANCE = "meta-data/events/recommendations/rebalance";
export const HOOK_TIMEOUT_SECONDS = 300;
export const LEASE_MS = 60_000;

interface Event {
  readonly what: string;
  readonly at: number;
}

/** An instance's worker with one job, on the fake clock of the test; the daemon answers but does not stop before `stopsAfterMs`. */
export async function workerWithJob({
  slots = 2,
  stopsAfterMs = 0,
  heedsTerm = true,
  mode = "handoff" as DrainMode,
  deadlineSeconds = 600,
  retainOnFailedDrain = false,
  maxJobAgeMs = Number.POSITIVE_INFINITY,
  onDisconnect = "stop" as "stop" | "keep",
  flushIntervalMs = 50,
  /** Changes that the daemon has read and never writes. */
  pendingEvents = 0,
  /** What the group does before it protects the instance; then it does. */
  protecting = async (_metadata: Map<string, string>): Promise<void> => {},
  /** What the group does before it takes the protection away; then it does. */
  unprotecting = async (): Promise<void> => {},
  /** What comes before the job has its port. */
  taking = async (_metadata: Map<string, string>): Promise<void> => {},
  starts = true,
  /** Whether the daemon answers nothing from its start on. */
  isSilent = false,
  /** What the daemon says of its lag; nothing by default. */
  lagMs = undefined as number | undefined,
  /** What comes before the answers to figures and to heartbeats of the hook. */
  answering = async (): Promise<void> => {},
  copyLastWords = async (): Promise<void> => {},
  /** What comes before the metadata service answers. */
  reading = async (_path: string): Promise<void> => {},
  machineStops = async (_signal: AbortSignal): Promise<boolean> => false,
  watchdogPeriodMs = undefined as number | undefined,
  metricsMs = 60_000,
  /** What the control plane gives to the claim that is parked, just before it hears of the drain. */
  lateGrants = [] as Grant[],
  /** Whether a grant that is given back counts all the same, as in a queue. */
  countsGrants = false,
  /** What upgrades the worker's programs; nothing by default. */
  upgrades = undefined as AgentPorts["upgrades"],
} = {}) {
  const metadata = new Map([[STATE, "InService"]]);
  const events: Event[] = [];
  const lines: string[] = [];
  const puts: { values: Readonly<Record<string, number>>; minute: string; at: number }[] = [];
  const note = (what: string) => void events.push({ what, at: Date.now() });
  const job = grantOf({ spec: { onDisconnect, options: { FLUSH_INTERVAL_MS: `${flushIntervalMs}` } } });
  const grants = [job];
  let refusal: ControlPlaneError | undefined;
  let refused: MessageName | undefined;
  let hangUp = (_: ControlPlaneError) => {};
  let answerClaim = (_: readonly Grant[], __?: readonly Action[]) => {};
  let actions: readonly Action[] = [];
  let sessions = 0;
  let leaving: AbortSignal | undefined;
  let isGone = false;
  let finish: (end: DaemonEnd) => void = () => {};
  const ended = new Promise<DaemonEnd>((resolve) => {
    finish = (end) => {
      if (!isGone) note("daemon gone");
      isGone = true;
      resolve(end);
    };
  });
  const status = streamingStatus({ pending_events: pendingEvents });
  const host: DaemonHost = {
    survivors: async () => [],
    start: async ({ record }) => {
      note("daemon started");
      Object.assign(status, { slot_name: record.slotName, tables: record.tables });
      return {
        record,
        secrets: [],
        ended,
        signal: async (signal) => {
          note(signal);
          if (heedsTerm || signal === "SIGKILL") finish({ status: null, signal });
        },
        memoryBytes: async () => undefined,
        lastLines: async () => [],
        forget: async () => {},
      };
    },
  };
  const answer = <Answer>(answer: Answer): Promise<Answer> =>
    isGone || isSilent ? Promise.reject(new Error("ECONNREFUSED")) : Promise.resolve(answer);
  const api: DaemonApi = {
    health: () => answer({ status: "serving", stage: "cdc", stage_detail: "", error_detail: "" }),
    status: () => answer(status),
    figures: async () => (lagMs === undefined ? undefined : ({ replication_lag_ms: lagMs } as Figures)),
    pause: async () => true,
    resume: async () => true,
    stop: async () => {
      note("asked to stop");
      setTimeout(() => finish({ status: 0, signal: null }), stopsAfterMs);
      return true;
    },
  };
  const post: ControlPlaneClient["post"] = (name, message, token, { signal } = {}) => {
    if (name === "heartbeat") {
      const { state, released } = message as Request<"heartbeat">;
      note(`heartbeat ${state}`);
      for (const { jobId } of released) note(`released ${jobId}`);
      if (state === "draining") answerClaim(lateGrants);
    } else note(name);
    const answers: Readonly<Record<string, object>> = {
      register: { protocol: 1, token: `session ${sessions}`, progressMs: 30_000, metricsMs },
      heartbeat: { leaseMs: LEASE_MS, nextMs: 10_000, actions },
    };
    if (refusal && (refused ?? name) === name) return Promise.reject(refusal);
    if (name !== "register" && token !== `session ${sessions}`)
      return Promise.reject(new ControlPlaneError("closed", 410, 0, "session_closed"));
    if (name === "metrics") {
      leaving = signal;
      return new Promise((resolve, reject) => {
        const hungUp = () => reject(new Error("hung up"));
        signal?.addEventListener("abort", hungUp);
        const over = () => signal?.removeEventListener("abort", hungUp);
        answering()
          .then(() => resolve({} as never), reject)
          .finally(over);
      });
    }
    if (name !== "claim") return Promise.resolve((answers[name] ?? {}) as never);
    const { freeSlots } = message as Request<"claim">;
    note(`claim for ${freeSlots}`);
    const given = grants.splice(0, freeSlots);
    if (given.length > 0) return Promise.resolve({ grants: given, nextMs: 1, actions: [] } as never);
    return new Promise((resolve, reject) => {
      answerClaim = (late, ordered = []) => {
        if (late.length + ordered.length > 0) resolve({ grants: late, nextMs: 1, actions: ordered } as never);
      };
      hangUp = reject;
      signal?.addEventListener("abort", () => {
        note("claim hung up");
        reject(new Error("hung up"));
      });
    });
  };
  const call = async (_service: string, action: string, params: AwsParameters) => {
    if (params["ProtectedFromScaleIn"] === true) await protecting(metadata);
    if (params["ProtectedFromScaleIn"] === false) await unprotecting();
    if (action === "CompleteLifecycleAction") note(`hook ${params["LifecycleActionResult"]}`);
    if (JSON.stringify(params).includes("InstanceRetained")) note("instance retained");
    if (action === "PutMetricData") {
      const data = params["MetricData"] as readonly { MetricName: string; Value: number; Timestamp: string }[];
      const values = Object.fromEntries(data.map(({ MetricName, Value }) => [MetricName, Value]));
      puts.push({ values, minute: data[0]?.Timestamp ?? "", at: Date.now() });
      await answering();
    } else {
      note(action === "SetInstanceProtection" ? `protected ${params["ProtectedFromScaleIn"]}` : action);
      if (action === "RecordLifecycleActionHeartbeat") await answering();
    }
    return {};
  };
  const aws = { region: "us-east-1", call } as unknown as Aws;
  const log = createLog((line) => void lines.push(line));
  const imds = {
    get: async (path: string) => {
      await reading(path);
      if (path === STATE) note(`state read: ${metadata.get(path)}`);
      return metadata.get(path);
    },
  };
  const drain = { mode, deadlineSeconds };
  const config = { ...INSTANCE_CONFIG, drain, terminateHookTimeoutSeconds: HOOK_TIMEOUT_SECONDS, retainOnFailedDrain };
  const stop = new AbortController();
  const running = runAgent(
    {
      worker: { workerId: INSTANCE, agentVersion: "0.2.0", daemonVersion: "2.4.0", pool: "docs", labels: {}, slots },
      drain,
      maxJobAgeMs,
    },
    {
      log,
      host,
      api: () => api,
      ports: { take: () => taking(metadata).then(() => 21_000), keep: () => {}, putBack: () => {} },
      controlPlane: { post, countsGrants },
      deploymentToken: async () => "token",
      quirks: daemonQuirks({ kind: "dbmazz", version: "2.4.0" }),
      holdLease: () => {},
      notify: async ({ watchdog, extendTimeoutMs }) => {
        if (watchdog) note("sign of life");
        if (extendTimeoutMs !== undefined) note(`extended by ${extendTimeoutMs}`);
      },
      watchdogPeriodMs,
      machineStops,
      upgrades,
      cloud: ec2Cloud({ config, instanceId: INSTANCE, aws, imds, log, copyLastWords }),
    },
    { stop: stop.signal, handOver: new AbortController().signal },
  );
  await jest.advanceTimersByTimeAsync(5_000);
  const of = (what: string) => events.filter((event) => event.what === what);
  expect(of("daemon started")).toHaveLength(starts ? 1 : 0);
  return {
    job: refOf(job),
    metadata,
    events,
    lines,
    /** Metrics that CloudWatch was sent, answered or not. */
    puts,
    of,
    at: (what: string) => of(what)[0]?.at ?? Number.NaN,
    pass: (ms: number) => jest.advanceTimersByTimeAsync(ms),
    stop: () => stop.abort(),
    /** From now on every heartbeat is answered with these. */
    order: (...repeated: readonly Action[]) => {
      actions = repeated;
    },
    /** Answers the claim that is parked with these. */
    orderByClaim: (...ordered: readonly Action[]) => answerClaim([], ordered),
    /** From now on every message, or every one of that name, is refused; a status of 0 is no answer at all. */
    refuse: (status: number, name?: MessageName) => {
      refused = name;
      refusal = new ControlPlaneError("refused", status, 0, "");
      if (!name) hangUp(refusal);
    },
    accept: () => {
      refusal = undefined;
    },
    /** From now on every message of the session is refused, and another one may be registered. */
    closeSession: () => {
      sessions += 1;
    },
    /** How many wait for the agent to leave, once it has sent figures. */
    waiting: () => (leaving ? getEventListeners(leaving, "abort").length : Number.NaN),
    silence: (silent: boolean) => {
      isSilent = silent;
    },
    endDaemon: () => finish({ status: 1, signal: null }),
    running,
  };
}
