import { type Drain, QUIESCE_MS, quiesceAt, tightened } from "../../../agent/worker/drain";
import { grantOf } from "./jobs/supervised";
import { HOOK_TIMEOUT_SECONDS, REBALANCE, SPOT, STATE, workerWithJob } from "./worker-with-job";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.useRealTimers();
});

describe("R32:", () => {
  test("at the target state Terminated claims stop within 5 s, the hook is prolonged, and it is completed within 5 s of the last job; read a thousand times it is one drain", async () => {
    // GIVEN a job that goes on for as long as it may
    const worker = await workerWithJob({ mode: "finish", deadlineSeconds: 2_400 });
    const { at, events, metadata, of, pass } = worker;

    // WHEN
    const told = Date.now();
    metadata.set(STATE, "Terminated");
    await pass(2_500_000);
    await worker.running;

    // THEN
    expect(of("state read: Terminated").length).toBeGreaterThanOrEqual(1_000);
    expect(at("claim hung up") - told).toBeLessThanOrEqual(5_000);
    expect(at("heartbeat draining") - told).toBeLessThanOrEqual(5_000);
    expect(of("claim").filter((claim) => claim.at > told + 5_000)).toEqual([]);
    expect(of("asked to stop")).toHaveLength(1);
    for (const once of ["draining", "notices changed", "leaving"]) {
      expect(worker.lines.filter((line) => line.includes(`"${once}"`))).toHaveLength(1);
    }
    // The first counts from when the state was read.
    const beats = [at("state read: Terminated"), ...of("RecordLifecycleActionHeartbeat").map((beat) => beat.at)];
    for (const [i, beat] of beats.slice(1).entries()) {
      expect(beat - (beats[i] ?? 0)).toBeLessThanOrEqual((HOOK_TIMEOUT_SECONDS * 1_000) / 3);
    }
    // One loop prolongs it, a tenth sooner each time than it must.
    const soonestSeconds = (HOOK_TIMEOUT_SECONDS / 3) * 0.9;
    expect(of("RecordLifecycleActionHeartbeat").length).toBeLessThanOrEqual(2_400 / soonestSeconds);
    const gone = at("daemon gone");
    expect(beats.at(-1)).toBeGreaterThan(gone - (HOOK_TIMEOUT_SECONDS * 1_000) / 3);
    expect(of("CompleteLifecycleAction")).toHaveLength(1);
    expect(at("CompleteLifecycleAction") - gone).toBeLessThanOrEqual(5_000);
    // The job's last word, then the goodbye, then the hook.
    const order = ["daemon gone", "release", "deregister", "CompleteLifecycleAction"];
    expect(events.map(({ what }) => what).filter((what) => order.includes(what))).toEqual(order);
  });

  test("a spot notice of two minutes that comes meanwhile leaves the notice's time less 20 s, also where a daemon will not stop", async () => {
    const worker = await workerWithJob({
      mode: "finish",
      deadlineSeconds: 1_800,
      stopsAfterMs: 3_600_000,
      heedsTerm: false,
    });
    const { at, metadata, of, pass } = worker;
    metadata.set(STATE, "Terminated");
    await pass(60_000);
    expect(of("asked to stop")).toEqual([]);

    const ends = Date.now() + 120_000;
    metadata.set(SPOT, JSON.stringify({ action: "terminate", time: new Date(ends).toISOString() }));
    await pass(200_000);
    await worker.running;

    expect(at("asked to stop")).toBeGreaterThanOrEqual(ends - 20_000 - QUIESCE_MS - 1_000);
    expect(at("daemon gone")).toBeLessThanOrEqual(ends - 20_000);
    expect(at("CompleteLifecycleAction")).toBeLessThanOrEqual(ends - 15_000);
  });

  test("one that comes while a daemon has more time to come to rest leaves it no more than that, and asks it to stop before", async () => {
    const { at, metadata, of, pass, running } = await workerWithJob({
      deadlineSeconds: 1_800,
      flushIntervalMs: 600_000,
      pendingEvents: 1,
      stopsAfterMs: 3_600_000,
      heedsTerm: false,
    });
    metadata.set(STATE, "Terminated");
    await pass(60_000);
    expect(of("daemon gone")).toEqual([]);

    const ends = Date.now() + 120_000;
    metadata.set(SPOT, JSON.stringify({ action: "terminate", time: new Date(ends).toISOString() }));
    await pass(200_000);

    expect(at("asked to stop")).toBeLessThanOrEqual(ends - 30_000);
    expect(at("daemon gone")).toBeLessThanOrEqual(ends - 20_000);
    expect([of("SIGTERM").length, of("SIGKILL").length]).toEqual([1, 1]);
    await running;
  });

  test("a job that may finish is left alone until it must be stopped for the deadline", async () => {
    const worker = await workerWithJob({ mode: "finish", deadlineSeconds: 600 });
    const { at, metadata, pass } = worker;
    const told = Date.now();
    metadata.set(STATE, "Terminated");
    await pass(700_000);
    await worker.running;

    expect(at("asked to stop") - told).toBeGreaterThanOrEqual(600_000 - QUIESCE_MS);
    expect(at("daemon gone") - told).toBeLessThanOrEqual(605_000);
  });

  test("what a parked claim is given before the drain is heard of is given back at once, and never started", async () => {
    const late = grantOf();
    const { at, metadata, of, pass, running, stop } = await workerWithJob({ lateGrants: [late] });
    metadata.set(REBALANCE, JSON.stringify({ noticeTime: "2026-01-02T03:04:05Z" }));
    await pass(60_000);

    expect(at(`released ${late.jobId}`) - at("heartbeat draining")).toBeLessThanOrEqual(1_000);
    expect(of("daemon started")).toHaveLength(1);
    expect(of("started")).toHaveLength(1);
    stop();
    await pass(20_000);
    await running;
  });

  test("a rebalance recommendation drains, gives protection up and waits for the group's word", async () => {
    const worker = await workerWithJob();
    const { at, metadata, of, pass } = worker;
    expect(of("protected true")).toHaveLength(1);
    const dropped = of("protected false").length;
    metadata.set(REBALANCE, JSON.stringify({ noticeTime: "2026-01-02T03:04:05Z" }));
    await pass(60_000);
    expect(of("protected false")).toHaveLength(dropped + 1);
    expect(of("release")).toHaveLength(1);
    expect(of("deregister")).toEqual([]);

    metadata.set(STATE, "Terminated");
    await pass(20_000);
    await worker.running;
    expect(at("CompleteLifecycleAction")).toBeGreaterThan(at("deregister") - 1);
  });
});

describe("R32: a control plane's drain, repeated with every heartbeat, of a worker that drains with two hours left", () => {
  const drainingWorker = async () => {
    const worker = await workerWithJob({ mode: "finish", deadlineSeconds: 7_200 });
    worker.metadata.set(REBALANCE, JSON.stringify({ noticeTime: "2026-01-02T03:04:05Z" }));
    await worker.pass(60_000);
    expect(worker.of("heartbeat draining").length).toBeGreaterThan(0);
    const lines = (message: string) => worker.lines.filter((line) => line.includes(`"${message}"`));
    return { ...worker, lines };
  };

  test("counts as a handoff when it is one", async () => {
    const { order, of, pass, lines } = await drainingWorker();
    order({ kind: "drain", mode: "handoff", deadlineMs: 600_000 });
    await pass(60_000);

    expect(of("asked to stop")).toHaveLength(1);
    expect(of("release")).toHaveLength(1);
    await pass(600_000);
    expect(lines("draining")).toHaveLength(1);
    expect(lines("the drain has less time")).toHaveLength(1);
  });

  test("leaves the time that it gave first when it has less", async () => {
    const { order, at, of, pass, lines } = await drainingWorker();
    const ordered = Date.now();
    order({ kind: "drain", mode: "finish", deadlineMs: 300_000 });
    await pass(600_000);

    expect(at("asked to stop")).toBeGreaterThanOrEqual(ordered + 300_000 - QUIESCE_MS);
    expect(at("daemon gone")).toBeLessThanOrEqual(ordered + 300_000);
    expect(of("asked to stop")).toHaveLength(1);
    expect(lines("the drain has less time")).toHaveLength(1);
  });

  test("changes nothing when it has more", async () => {
    const { order, of, pass, lines } = await drainingWorker();
    order({ kind: "drain", mode: "finish", deadlineMs: 10_000_000 });
    await pass(600_000);

    expect(of("asked to stop")).toEqual([]);
    expect(lines("the drain has less time")).toEqual([]);
  });
});

const EVENTS = "meta-data/events/maintenance/scheduled";
const event = (at: number, State = "active") =>
  JSON.stringify([
    { Code: "system-reboot", NotBefore: new Date(at).toUTCString(), State, EventId: "instance-event-1" },
  ]);

test("a scheduled event drains in time for it, not when it is announced, and the worker starts anew when it is over", async () => {
  const { at, metadata, of, pass, running } = await workerWithJob({ deadlineSeconds: 600 });
  const reboot = Date.now() + 3_600_000;
  metadata.set(EVENTS, event(reboot));
  await pass(2_000_000);
  expect(of("asked to stop")).toEqual([]);

  await pass(1_500_000);
  expect(reboot - at("asked to stop")).toBeGreaterThanOrEqual(600_000);
  expect(reboot - at("asked to stop")).toBeLessThanOrEqual(905_000);
  expect(of("deregister")).toEqual([]);

  // WHEN it has come and gone, and the machine is still there
  metadata.set(EVENTS, event(reboot, "completed"));
  await pass(60_000);
  expect(await running).toBe("restart");
  expect(of("CompleteLifecycleAction")).toEqual([]);
});

test.each([
  ["is about to come", 30_000],
  ["should have come already", -60_000],
])(
  "a scheduled event that is first seen when it %s leaves a daemon the time to come to rest: nobody knows when it comes",
  async (_, inMs) => {
    const { events, metadata, of, pass, running, stop } = await workerWithJob({
      stopsAfterMs: 5_000,
      deadlineSeconds: 600,
    });
    metadata.set(EVENTS, event(Date.now() + inMs));
    await pass(60_000);

    const order = ["asked to stop", "daemon gone", "release"];
    expect(events.map(({ what }) => what).filter((what) => order.includes(what))).toEqual(order);
    expect([...of("SIGTERM"), ...of("SIGKILL")]).toEqual([]);
    stop();
    await pass(20_000);
    await running;
  },
);

test("a worker that starts anew after a scheduled event, and is told to end meanwhile, ends for good", async () => {
  const { metadata, of, pass, running, stop } = await workerWithJob({ stopsAfterMs: 20_000, deadlineSeconds: 600 });
  const reboot = Date.now() + 60_000;
  metadata.set(EVENTS, event(reboot));
  await pass(5_000);
  metadata.set(EVENTS, event(reboot, "completed"));
  await pass(5_000);
  expect(of("daemon gone")).toEqual([]);

  stop();
  await pass(60_000);
  expect(await running).toBe("asked");
});

test("of scheduled events the first is drained for, in whichever order they are announced", async () => {
  const { at, metadata, pass, running, stop } = await workerWithJob({ mode: "finish", deadlineSeconds: 600 });
  const first = Date.now() + 400_000;
  const events = [event(first + 400_000), event(first)].flatMap((text) => JSON.parse(text));
  metadata.set(EVENTS, JSON.stringify(events));
  await pass(700_000);

  expect(at("daemon gone")).toBeLessThanOrEqual(first - 20_000);
  stop();
  await pass(20_000);
  await running;
});

test("a job that had to be ended at the drain's deadline has the instance kept where the group keeps such, which it says each minute", async () => {
  const { metadata, of, pass, running, stop } = await workerWithJob({
    stopsAfterMs: 3_600_000,
    deadlineSeconds: 60,
    retainOnFailedDrain: true,
  });
  metadata.set(STATE, "Terminated");
  await pass(300_000);
  expect(of("SIGTERM")).toHaveLength(1);
  expect(of("hook ABANDON")).toHaveLength(1);
  expect(of("instance retained").length).toBeGreaterThanOrEqual(3);

  stop();
  await pass(1_000);
  expect(await running).toBe("asked");
});

test("a drain in which every job stops by itself completes CONTINUE also where failures are kept", async () => {
  const { metadata, of, pass, running } = await workerWithJob({ stopsAfterMs: 5_000, retainOnFailedDrain: true });
  metadata.set(STATE, "Terminated");
  await pass(60_000);
  await running;
  expect(of("hook CONTINUE")).toHaveLength(1);
  expect(of("instance retained")).toEqual([]);
});

test.each<[string, (path: string) => Promise<undefined>]>([
  ["cannot be read", (path) => Promise.reject(new Error(`GET ${path}: 503`))],
  ["does not answer", () => new Promise(() => {})],
])("a path of the metadata service that %s hides no other: claims stop within 5 s", async (_, reading) => {
  const { at, lines, metadata, pass, running } = await workerWithJob({
    reading: async (path) => (path === REBALANCE ? await reading(path) : undefined),
  });
  const told = Date.now();
  metadata.set(STATE, "Terminated");
  await pass(60_000);
  await running;

  expect(at("claim hung up") - told).toBeLessThanOrEqual(5_000);
  expect(lines.filter((line) => line.includes("notices not readable"))).toHaveLength(1);
  expect(lines.join("")).toContain('"what":"rebalance recommendation"');
});

test("what waits for a worker to leave does not pile up while it lives", async () => {
  const { pass, running, stop, waiting } = await workerWithJob();
  await pass(90_000);
  const before = waiting();
  await pass(3_600_000);

  expect(before).toBeGreaterThan(0);
  expect(waiting()).toBe(before);

  stop();
  await pass(60_000);
  await running;
});

test("a job that has run for as long as it may is given back, and its worker goes on", async () => {
  const { of, pass, metadata, running } = await workerWithJob({ maxJobAgeMs: 600_000 });
  await pass(590_000);
  expect(of("release")).toEqual([]);
  await pass(60_000);
  expect(of("asked to stop")).toHaveLength(1);
  expect(of("release")).toHaveLength(1);
  expect(of("heartbeat draining")).toEqual([]);
  expect(of("claim").length).toBeGreaterThan(1);

  metadata.set(STATE, "Terminated");
  await pass(60_000);
  await running;
});

test("a daemon that writes no more of what is pending is asked to stop once a flush would have been over", async () => {
  const { at, metadata, pass, running } = await workerWithJob({ flushIntervalMs: 5_000, pendingEvents: 1 });
  metadata.set(STATE, "Terminated");
  await pass(60_000);
  await running;

  const waited = at("asked to stop") - at("state read: Terminated");
  expect(waited).toBeGreaterThanOrEqual(5_000);
  expect(waited).toBeLessThanOrEqual(7_000);
});

test("a daemon that takes no stop has five seconds for a SIGTERM before the drain's deadline", async () => {
  const { at, metadata, of, pass, running } = await workerWithJob({ deadlineSeconds: 8, stopsAfterMs: 3_600_000 });
  const told = Date.now();
  metadata.set(STATE, "Terminated");
  await pass(30_000);
  await running;

  expect([of("SIGTERM").length, of("SIGKILL")]).toEqual([1, []]);
  expect(at("SIGTERM") - told).toBeLessThanOrEqual(6_000);
});

test("a job that its operator pauses is at rest 24 s after the first heartbeat that says so, whatever its daemon does", async () => {
  const { at, job, of, order, pass, running, stop } = await workerWithJob({
    flushIntervalMs: 600_000,
    pendingEvents: 1,
    stopsAfterMs: 3_600_000,
    heedsTerm: false,
  });
  const before = of("heartbeat active").length;
  order({ kind: "stop", mode: "quiesce", ...job });
  await pass(60_000);

  const told = of("heartbeat active")[before]?.at ?? Number.NaN;
  expect(at("daemon gone") - told).toBeLessThanOrEqual(24_000);
  expect(of("report")).toHaveLength(1);
  order();
  stop();
  await pass(20_000);
  await running;
});

describe("a drain that is asked for again", () => {
  const held: Drain = { source: "control plane", mode: "finish", deadlineAt: 1_000 };

  test.each<[string, Drain, Drain]>([
    ["with more time changes nothing", { source: "stop", mode: "finish", deadlineAt: 2_000 }, held],
    ["with less time has less", { source: "stop", mode: "finish", deadlineAt: 500 }, { ...held, deadlineAt: 500 }],
    ["as a handoff is one", { source: "stop", mode: "handoff", deadlineAt: 2_000 }, { ...held, mode: "handoff" }],
  ])("%s", (_, asked, result) => expect(tightened(held, asked)).toEqual(result));

  test("a handoff begins at once, a finish only in time for the deadline", () => {
    expect(quiesceAt({ ...held, mode: "handoff" }, 7)).toBe(7);
    expect(quiesceAt({ ...held, deadlineAt: 100_000 }, 7)).toBe(100_000 - QUIESCE_MS);
  });
});
