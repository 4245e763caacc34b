import { createLog } from "../../../agent/host/log";
import { type ControlPlaneClient, ControlPlaneError } from "../../../agent/worker/control-plane-client";
import { controlPlaneSource } from "../../../agent/worker/control-plane-source";
import { keepSession, type SessionPorts, type SessionState } from "../../../agent/worker/session";
import * as coordinator from "../../../control-plane/lease/coordinator";
import { nextBeatMs } from "../../../control-plane/lease/next-beat";
import { LeaseTiming } from "../../../control-plane/lease/timing";
import type { Request } from "../../../control-plane/protocol";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { queuedJob } from "./simulator/simulate";

const BEATING = longForm(300, 10_000);

it(`control-plane 15: of ${BEATING} workers that beat every 10 s none is taken for dead in a virtual hour of lost and late messages`, () => {
  const timing = LeaseTiming.parse({ heartbeatMs: 10_000, workerLeaseMs: 40_000, serverLeaseMs: 60_000 });
  const random = seededRandom(15);
  const state = coordinator.newCoordinator(timing, 0);
  const workers = Array.from({ length: BEATING }, (_, index) => `w-${index}`);
  /** Heartbeats under way, by the second in which they arrive. */
  const arrivals = new Map<number, { worker: string; atMs: number }[]>();
  const send = (worker: string, sentAtMs: number): void => {
    // One in a hundred is lost; the worker asks again one period later. Most of the others take a moment, some seconds.
    const lostMs = random() < 0.01 ? timing.heartbeatMs * 1.2 : 0;
    const atMs = sentAtMs + lostMs + (random() < 0.02 ? 8_000 : 200) * random();
    const second = Math.floor(atMs / 1_000);
    const others = arrivals.get(second) ?? [];
    if (others.push({ worker, atMs }) === 1) arrivals.set(second, others);
  };
  for (const worker of workers) {
    coordinator.register(state, worker, worker);
    send(worker, random() * timing.heartbeatMs);
    state.jobs.set(worker, { ...queuedJob(), state: "running", fence: 1, session: worker });
  }
  let beats = 0;
  let moved = 0;
  for (let second = 0; second < 3_600; second++) {
    for (const { worker, atMs } of arrivals.get(second) ?? []) {
      const orders = coordinator.heartbeat(state, atMs, worker, {
        running: [{ jobId: worker, fence: 1 }],
        released: [],
      });
      if (orders === "session_closed" || orders.kill.length > 0) throw new Error(`${worker} lost its job`);
      beats += 1;
      send(worker, atMs + timing.heartbeatMs * (0.8 + 0.4 * random()));
    }
    arrivals.delete(second);
    moved += coordinator.sweep(state, (second + 1) * 1_000).length;
  }
  expect(moved).toBe(0);
  expect(beats).toBeGreaterThan(300 * BEATING);

  // A worker that is dead is noticed in the same hour's terms.
  const last = 3_600_000 + timing.serverLeaseMs + 10_000;
  expect(coordinator.sweep(state, last)).toHaveLength(BEATING);
}, 600_000);

describe("a restart of the control plane", () => {
  const WORKERS = 500;
  const DOWN_MS = 3_000;
  beforeEach(() => jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] }));
  afterEach(() => jest.useRealTimers());

  it("control-plane 17: is survived by every session, without a storm: all are back in a minute, no worker's lease runs out", async () => {
    const { workerLeaseMs, heartbeatMs } = LeaseTiming.parse({});
    const random = seededRandom(17);
    let up = true;
    const parked = new Set<(error: Error) => void>();
    const arrivals: number[] = [];
    const attempts: number[] = Array(WORKERS).fill(0);
    const renewedAt: number[] = Array(WORKERS).fill(0);
    const longestGap: number[] = Array(WORKERS).fill(0);
    const refused = () => new ControlPlaneError("no answer", 0, 0, "");
    const clientOf =
      (worker: number): ControlPlaneClient["post"] =>
      async (name) => {
        const sentAt = performance.now();
        if (!up) attempts[worker] = (attempts[worker] ?? 0) + 1;
        if (!up) throw refused();
        arrivals.push(sentAt);
        if (name === "register") return { protocol: 1, token: "t", progressMs: 30_000, metricsMs: 60_000 } as never;
        if (name === "heartbeat") {
          longestGap[worker] = Math.max(longestGap[worker] ?? 0, sentAt - (renewedAt[worker] || sentAt));
          renewedAt[worker] = sentAt;
          return { leaseMs: workerLeaseMs, nextMs: nextBeatMs(heartbeatMs, sentAt, random), actions: [] } as never;
        }
        return await new Promise<never>((_, reject) => parked.add(reject));
      };
    const leaving = new AbortController();
    const registrations: number[] = Array(WORKERS).fill(0);
    const loops = Array.from({ length: WORKERS }, (_, worker) => startWorker(worker, clientOf(worker)));
    await jest.advanceTimersByTimeAsync(30_000);
    expect(parked.size).toBe(WORKERS);

    // WHEN every connection breaks, and nobody answers for a while
    up = false;
    for (const hangUp of parked) hangUp(refused());
    parked.clear();
    await jest.advanceTimersByTimeAsync(DOWN_MS);
    up = true;
    const backAt = performance.now();
    arrivals.length = 0;
    await jest.advanceTimersByTimeAsync(60_000);

    // THEN every claim is parked again, in the sessions there were, which all kept their leases
    expect(parked.size).toBe(WORKERS);
    expect(registrations).toEqual(Array(WORKERS).fill(1));
    expect(Math.min(...renewedAt)).toBeGreaterThan(backAt);
    expect(Math.max(...longestGap)).toBeLessThan(workerLeaseMs);
    // Nobody hammers a server that is down, and no second after it brings more than all once over.
    expect(Math.max(...attempts)).toBeLessThanOrEqual(20);
    const perSecond = new Map<number, number>();
    for (const at of arrivals) perSecond.set(Math.floor(at / 1_000), (perSecond.get(Math.floor(at / 1_000)) ?? 0) + 1);
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(WORKERS);

    leaving.abort();
    for (const hangUp of parked) hangUp(refused());
    await jest.advanceTimersByTimeAsync(120_000);
    await Promise.all(loops);

    async function startWorker(worker: number, post: ControlPlaneClient["post"]): Promise<void> {
      const state: SessionState = { token: undefined, open: false, answeredAt: 0 };
      const log = createLog(() => {});
      const sleep: SessionPorts["sleep"] = async (delayMs, signal) => {
        if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, delayMs));
        return signal.aborted;
      };
      const message = { state: "active", running: [], released: [] } satisfies Partial<Request<"heartbeat">>;
      const ports: SessionPorts = {
        controlPlane: { post },
        log,
        deploymentToken: async () => "token",
        sleep,
        turn: () => {},
        random,
        now: () => performance.now(),
        status: async () => {},
        work: { beat: () => ({ message, answered: () => {} }), closed: async () => {} },
      };
      const source = controlPlaneSource({
        controlPlane: { post },
        session: state,
        orders: { obey: () => {}, features: [] },
        log,
        ending: leaving.signal,
      });
      const claiming = (async () => {
        while (!leaving.signal.aborted) {
          if (state.open) await source.claim(1, leaving.signal);
          else await sleep(1_000, leaving.signal);
        }
      })();
      const about = { workerId: `w-${worker}`, agentVersion: "1", daemonVersion: "1", pool: "p", labels: {}, slots: 1 };
      // Machines of a fleet boot at different times.
      await sleep(random() * 10_000, leaving.signal);
      await keepSession({ ...about, features: [] }, state, ports, leaving.signal, async () => {
        registrations[worker] = (registrations[worker] ?? 0) + 1;
      });
      await claiming;
    }
  }, 600_000);
});
