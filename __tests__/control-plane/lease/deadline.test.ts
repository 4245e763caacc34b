import { randomUUID } from "node:crypto";
import { GuardedLease } from "../../../agent/worker/guard-lease";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import type { Grant, MessageName, Request } from "../../../control-plane/protocol";
import { grantOf } from "../../agent/worker/jobs/supervised";
import { startVirtualAgent } from "./virtual-agent";

const { workerLeaseMs: LEASE_MS, heartbeatMs: PERIOD_MS } = DEFAULT_TIMING;
/** The agent looks at its lease four times a second. */
const LOOK_MS = 250;

beforeEach(() => jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] }));
afterEach(() => jest.useRealTimers());

/** A control plane behind a proxy that holds answers back; the sender never hangs up, so that nothing hides a late answer. */
function delayingControlPlane() {
  const delays = { heartbeat: 0, claim: 0 };
  const offered: Grant[] = [];
  const released = new Set<string>();
  /** When the heartbeat that was sent last of all answered ones was sent. */
  let renewedAt = Number.NEGATIVE_INFINITY;
  const answer = (name: MessageName, message: unknown): object => {
    if (name === "register") return { protocol: 1, token: "session", progressMs: 30_000, metricsMs: 60_000 };
    if (name === "heartbeat") {
      for (const { jobId } of (message as Request<"heartbeat">).released) released.add(jobId);
      return { leaseMs: LEASE_MS, nextMs: PERIOD_MS, actions: [] };
    }
    return name === "claim" ? { grants: offered.splice(0), nextMs: 1_000, actions: [] } : {};
  };
  const post = async (name: MessageName, message: unknown): Promise<never> => {
    const sentAt = performance.now();
    const given = answer(name, message);
    const delayMs = name === "heartbeat" || name === "claim" ? delays[name] : 0;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (name === "heartbeat") renewedAt = Math.max(renewedAt, sentAt);
    return given as never;
  };
  return {
    delays,
    offered,
    released,
    post,
    get deadline() {
      return renewedAt + LEASE_MS;
    },
  };
}

it.each([LEASE_MS - 1_000, LEASE_MS + 1_000])(
  "control-plane 5: no daemon lives longer than a lease after its last answered heartbeat was sent, with answers %d ms late",
  async (delayMs) => {
    const plane = delayingControlPlane();
    plane.offered.push(grantOf());
    const { host, leave } = startVirtualAgent(plane.post);
    await jest.advanceTimersByTimeAsync(120_000);
    expect(host.alive.size).toBe(1);

    plane.delays.heartbeat = delayMs;
    let ended = 0;
    let before = 1;
    for (let step = 0; step < 3_000; step++) {
      // Whenever it may, it is given more to run.
      if (plane.offered.length === 0) plane.offered.push(grantOf());
      await jest.advanceTimersByTimeAsync(100);
      const { size } = host.alive;
      if (size > 0) expect(performance.now()).toBeLessThanOrEqual(plane.deadline + LOOK_MS);
      if (size < before) ended += 1;
      before = size;
    }

    // Answers that come so late leave gaps between leases, and those that come later than a lease are no lease at all.
    expect(ended).toBeGreaterThanOrEqual(delayMs < LEASE_MS ? 10 : 1);
    if (delayMs > LEASE_MS) expect(host.started).toHaveLength(2);
    await leave();
  },
);

it("control-plane 5: a claim that was answered after the lease had run out starts nothing, and the job is given back", async () => {
  const plane = delayingControlPlane();
  const { host, leave } = startVirtualAgent(plane.post);
  await jest.advanceTimersByTimeAsync(500);
  // GIVEN a claim whose answer is under way while the lease runs out and is renewed
  const late = grantOf({ jobId: randomUUID() });
  plane.offered.push(late);
  plane.delays.claim = 3 * LEASE_MS;
  await jest.advanceTimersByTimeAsync(1_500);
  expect(plane.offered).toEqual([]);
  plane.delays.heartbeat = LEASE_MS + 1_000;
  await jest.advanceTimersByTimeAsync(2 * LEASE_MS);
  plane.delays.heartbeat = 0;
  plane.delays.claim = 0;

  await jest.advanceTimersByTimeAsync(3 * LEASE_MS);

  expect(host.started).toEqual([]);
  expect(plane.released).toContain(late.jobId);
  // The lease is valid again: what is granted now starts.
  const next = grantOf({ jobId: randomUUID() });
  plane.offered.push(next);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(host.started).toEqual([next.jobId]);
  await leave();
});

it("control-plane 6: after a suspension the guard sees on its first look that the lease is over", () => {
  const instant = { monotonicMs: 5_000, wallMs: 1_000_000 };
  const lease = new GuardedLease(() => ({ ...instant }));
  lease.hold({ sentAt: { ...instant }, leaseMs: LEASE_MS });
  instant.monotonicMs += 250;
  instant.wallMs += 250;
  expect(lease.remainingMs()).toBeGreaterThan(0);

  // WHEN the machine stands still for longer than the lease: only the wall clock goes on
  instant.wallMs += LEASE_MS;

  expect(lease.remainingMs()).toBeLessThanOrEqual(0);
});

it("control-plane 6: after a suspension the guard knows that the lease is over also when it had not looked at it before", () => {
  const instant = { monotonicMs: 5_000, wallMs: 1_000_000 };
  const lease = new GuardedLease(() => ({ ...instant }));
  expect(lease.isOver).toBe(false);
  lease.hold({ sentAt: { ...instant }, leaseMs: LEASE_MS });

  // WHEN the machine stands still before the guard's next look, while the first daemon of the lease is being started
  instant.wallMs += LEASE_MS;

  expect(lease.isOver).toBe(true);
});

it("control-plane 6: a lease that is over when it is handed on is none that the guard ends with", () => {
  const instant = { monotonicMs: 5_000, wallMs: 1_000_000 };
  const lease = new GuardedLease(() => ({ ...instant }));
  lease.hold({ sentAt: { ...instant, monotonicMs: instant.monotonicMs - LEASE_MS }, leaseMs: LEASE_MS });

  expect(lease.isOver).toBe(false);
  // Unless one was held before it.
  lease.hold({ sentAt: { ...instant }, leaseMs: LEASE_MS });
  lease.hold({ sentAt: { ...instant, wallMs: instant.wallMs - LEASE_MS }, leaseMs: LEASE_MS });
  expect(lease.isOver).toBe(true);
});
