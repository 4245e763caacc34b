import { workerWithJob } from "../worker-with-job";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.useRealTimers();
});

/** When the worker ends its daemon, and says that the job has failed, in milliseconds from now. */
async function endedAfter({ of, pass }: Awaited<ReturnType<typeof workerWithJob>>): Promise<number[]> {
  const now = Date.now();
  await pass(180_000);
  return [...of("SIGTERM"), ...of("report")].map(({ at }) => at - now);
}

test("a daemon that has never answered is ended a minute and a half after its start, and its job has failed", async () => {
  const worker = await workerWithJob({ isSilent: true });
  const sinceStart = Date.now() - worker.at("daemon started");

  const ended = await endedAfter(worker);

  expect(ended).toHaveLength(2);
  for (const after of ended) expect(Math.abs(after + sinceStart - 90_000)).toBeLessThanOrEqual(2_500);
  worker.stop();
  await worker.pass(5_000);
  await worker.running;
});

test("one that answers no more is ended after half a minute, counted anew from each answer", async () => {
  const worker = await workerWithJob();
  worker.silence(true);
  await worker.pass(20_000);
  worker.silence(false);
  await worker.pass(5_000);
  worker.silence(true);

  const ended = await endedAfter(worker);

  expect(ended).toHaveLength(2);
  for (const after of ended) expect(Math.abs(after - 30_000)).toBeLessThanOrEqual(2_500);
  worker.stop();
  await worker.pass(5_000);
  await worker.running;
});
