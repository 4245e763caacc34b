import { workerWithJob } from "./worker-with-job";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.useRealTimers();
});

test("control-plane 29: a worker whose slots are all taken waits for orders with a claim for none, and obeys them at once", async () => {
  const { at, job, of, orderByClaim, pass, running, stop } = await workerWithJob({ slots: 1 });
  expect(of("claim for 0")).toHaveLength(1);

  const orderedAt = Date.now();
  orderByClaim({ kind: "stop", mode: "quiesce", ...job });
  await pass(10_000);

  expect(at("asked to stop")).toBe(orderedAt);
  stop();
  await pass(5_000);
  await running;
});

test("control-plane 29: it asks again a second later while orders come at once, as long as a quiesce takes", async () => {
  const { job, of, orderByClaim, pass, running, stop } = await workerWithJob({ slots: 1, stopsAfterMs: 20_000 });
  for (let second = 0; second < 3; second++) {
    orderByClaim({ kind: "stop", mode: "quiesce", ...job });
    await pass(1_000);
  }

  expect(of("claim for 0")).toHaveLength(4);
  expect(of("asked to stop")).toHaveLength(1);
  await pass(20_000);
  stop();
  await pass(5_000);
  await running;
});

test("a slot that becomes free ends the claim for none, and the next one is for the slot", async () => {
  const { at, endDaemon, of, pass, running, stop } = await workerWithJob({ slots: 1 });
  await pass(100_000);
  expect(of("claim for 0")).toHaveLength(1);

  endDaemon();
  await pass(1_000);

  expect(of("claim hung up")).toHaveLength(1);
  expect(of("claim for 1")).toHaveLength(2);
  expect(at("claim hung up")).toBe(at("daemon gone"));
  stop();
  await pass(5_000);
  await running;
});

test("a drain ends the claim for none at once: heartbeats bring the orders of a worker that leaves", async () => {
  const { at, of, pass, running, stop } = await workerWithJob({ slots: 1, stopsAfterMs: 5_000 });

  const stoppedAt = Date.now();
  stop();
  await pass(20_000);
  await running;

  expect(at("claim hung up")).toBe(stoppedAt);
  expect(of("claim for 0")).toHaveLength(1);
});
