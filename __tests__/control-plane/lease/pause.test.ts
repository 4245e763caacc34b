import { randomUUID } from "node:crypto";
import type { CdcStatus } from "../../../agent/worker/daemon/daemon-api";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import type { Action, MessageName, Request } from "../../../control-plane/protocol";
import { grantOf } from "../../agent/worker/jobs/supervised";
import { startVirtualAgent } from "./virtual-agent";

const { heartbeatMs, workerLeaseMs } = DEFAULT_TIMING;
/** As late as the control plane lets one come. */
const LATEST_BEAT_MS = 1.2 * heartbeatMs;

beforeEach(() => jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] }));
afterEach(() => jest.useRealTimers());

/** A control plane that has one job, and tells its orders with heartbeats alone. */
function controlPlane() {
  const ref = { jobId: randomUUID(), fence: 1 };
  const offered = [grantOf({ ...ref, spec: { options: { FLUSH_INTERVAL_MS: "10000" } } })];
  const state = { beats: 0, isPaused: false, stoppedAt: undefined as number | undefined };
  const post = async (name: MessageName, message: unknown): Promise<never> => {
    const answer = (): object => {
      if (name === "register") return { protocol: 1, token: "session", progressMs: 30_000, metricsMs: 60_000 };
      if (name === "claim") return { grants: offered.splice(0), nextMs: 1_000, actions: [] };
      if (name === "report" && (message as Request<"report">).outcome === "stopped")
        state.stoppedAt ??= performance.now();
      if (name !== "heartbeat") return {};
      state.beats += 1;
      const stop: Action = { kind: "stop", mode: "quiesce", ...ref };
      return { leaseMs: workerLeaseMs, nextMs: LATEST_BEAT_MS, actions: state.isPaused ? [stop] : [] };
    };
    return answer() as never;
  };
  return { ref, state, post };
}

/** A daemon whose sink is slow: always at work, and never done. */
function atWork(): () => Partial<CdcStatus> {
  let confirmed_lsn = 0n;
  return () => {
    confirmed_lsn += 1n;
    return { pending_events: 1, confirmed_lsn };
  };
}

it.each([
  ["that takes no stop", undefined],
  ["that takes no stop, and is at work all the time", atWork()],
])(
  "control-plane 29: a job is paused 30 s after the order at the latest, told with a heartbeat that is due, of a daemon %s",
  async (_, says) => {
    const { ref, state, post } = controlPlane();
    const { host, leave } = startVirtualAgent(post, says);
    while (!host.alive.has(ref.jobId)) await jest.advanceTimersByTimeAsync(100);
    const { beats } = state;
    while (state.beats === beats) await jest.advanceTimersByTimeAsync(1);

    // WHEN it is ordered just after a heartbeat was answered; the daemon says yes to the stop, and ends only by a signal
    const orderedAt = performance.now();
    state.isPaused = true;
    while (state.stoppedAt === undefined && performance.now() < orderedAt + 120_000)
      await jest.advanceTimersByTimeAsync(50);

    expect((state.stoppedAt ?? Number.NaN) - orderedAt).toBeLessThanOrEqual(30_000);
    expect((state.stoppedAt ?? Number.NaN) - orderedAt).toBeGreaterThan(LATEST_BEAT_MS / 2);
    expect(host.alive).toEqual(new Set());
    await leave();
  },
  60_000,
);
