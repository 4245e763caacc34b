import { LEASE_MS, workerWithJob } from "./worker-with-job";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

test("R24: cut off, the agent ends its daemon a lease after the last heartbeat that was answered was sent, says no more of the job, and claims none", async () => {
  const { at, of, pass, refuse, stop, running } = await workerWithJob();
  await pass(30_000);
  const sent = of("heartbeat active").at(-1)?.at ?? Number.NaN;
  await pass(3_000);
  refuse(0);
  await pass(120_000);

  expect(at("daemon gone") - sent).toBeLessThanOrEqual(LEASE_MS + 250);
  expect(of("claim").filter((claim) => claim.at > sent + LEASE_MS)).toEqual([]);
  expect([...of("release"), ...of("report")]).toEqual([]);
  stop();
  await pass(20_000);
  await running;
});

test("R24: cut off, the agent leaves a daemon alone that is to be kept", async () => {
  const { of, pass, refuse, accept, stop, running } = await workerWithJob({ onDisconnect: "keep" });
  refuse(0);
  await pass(600_000);
  expect(of("daemon gone")).toEqual([]);
  accept();
  await pass(20_000);
  stop();
  await pass(20_000);
  await running;
});

test("R24: an agent whose session is closed kills its daemon at once, says no more of the job, and registers when it is gone", async () => {
  const { accept, events, of, pass, refuse, stop, running } = await workerWithJob();
  refuse(410);
  await pass(10_000);
  accept();
  await pass(60_000);

  const order = events.map(({ what }) => what).filter((what) => ["register", "daemon gone"].includes(what));
  expect(order.slice(0, 3)).toEqual(["register", "daemon gone", "register"]);
  expect([of("SIGKILL").length > 0, of("SIGTERM")]).toEqual([true, []]);
  expect([...of("release"), ...of("report")]).toEqual([]);
  stop();
  await pass(5_000);
  await running;
});

test("R24: an agent whose session is closed before it was heard that a job has ended says no more of it, and registers", async () => {
  // GIVEN a last word that was just refused, and is said again later than the next heartbeat
  jest.spyOn(Math, "random").mockReturnValue(0.99);
  const { accept, closeSession, endDaemon, of, pass, refuse, stop, running } = await workerWithJob();
  refuse(0);
  endDaemon();
  await pass(40_000);
  const refused = of("report").length;
  while (of("report").length === refused) await pass(100);

  closeSession();
  accept();
  await pass(60_000);

  expect(of("register")).toHaveLength(2);
  const [, anew] = of("register");
  expect([...of("report"), ...of("release")].filter(({ at }) => at > (anew?.at ?? 0))).toEqual([]);
  stop();
  await pass(5_000);
  await running;
});

test("the heartbeat that an alarm waits for is left out of a minute in which the control plane answered nothing", async () => {
  const { accept, pass, puts, refuse, running, stop } = await workerWithJob();
  await pass(60_000);
  refuse(0);
  await pass(120_000);
  accept();
  await pass(60_000);

  expect(puts.map(({ values }) => values["WorkerHeartbeat"])).toEqual([1, 1, undefined, 1]);
  stop();
  await pass(20_000);
  await running;
});
