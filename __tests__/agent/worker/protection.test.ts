import { REBALANCE, STATE, workerWithJob } from "./worker-with-job";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.useRealTimers();
});

describe("R33:", () => {
  const PROTECTION = ["protected true", "protected false"];

  test("protection is raised before a claim is confirmed, and dropped once no job is left, with one call for each", async () => {
    const { events, pass, stop, running } = await workerWithJob({ maxJobAgeMs: 60_000 });
    const order = (...names: string[]) => events.map(({ what }) => what).filter((what) => names.includes(what));
    expect(order("started", "daemon started", "protected true")).toEqual([
      "protected true",
      "started",
      "daemon started",
    ]);

    await pass(90_000);
    // Before the first job nobody knows what an earlier life has left.
    expect(order(...PROTECTION, "daemon gone")).toEqual([
      "protected false",
      "protected true",
      "daemon gone",
      "protected false",
    ]);
    stop();
    await pass(5_000);
    await running;
  });

  test.each<[string, (metadata: Map<string, string>) => Promise<void>]>([
    ["cannot be protected", () => Promise.reject(new Error("Throttling"))],
    [
      "is to go by the time that it is protected",
      async (metadata) => {
        metadata.set(STATE, "Terminated");
        await new Promise((resolve) => setTimeout(resolve, 4_000));
      },
    ],
  ])("a job is not taken up where the instance %s", async (_, protecting) => {
    const { metadata, of, pass, running } = await workerWithJob({
      protecting,
      starts: false,
      mode: "finish",
      deadlineSeconds: 60,
    });
    metadata.set(STATE, "Terminated");
    await pass(90_000);
    await running;
    expect([...of("started"), ...of("daemon started")]).toEqual([]);
  });

  test("where the instance cannot be protected nothing is claimed for ten seconds, so that others get the job", async () => {
    const protecting = () => Promise.reject(new Error("Throttling"));
    const { of, pass, stop, running } = await workerWithJob({ slots: 1, protecting, starts: false });
    await pass(30_000);

    const [first, second] = of("claim for 1").map(({ at }) => at);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(10_000);
    stop();
    await pass(5_000);
    await running;
  });

  test("where each grant counts, as in a queue, none is claimed by an instance that is not yet in service, and soon after it is", async () => {
    // GIVEN
    let inService = false;
    const whereInService = async () => {
      if (!inService) throw new Error("not in InService");
    };
    const { of, pass, stop, running } = await workerWithJob({
      countsGrants: true,
      protecting: whereInService,
      unprotecting: whereInService,
      starts: false,
    });
    await pass(60_000);
    expect(of("claim for 2")).toEqual([]);

    // WHEN
    inService = true;
    const since = Date.now();
    await pass(15_000);

    // THEN
    expect((of("daemon started")[0]?.at ?? Number.NaN) - since).toBeLessThanOrEqual(12_000);
    expect([...of("protected false"), ...of("protected true")]).toHaveLength(2);
    stop();
    await pass(5_000);
    await running;
  });

  test("it is not raised any more once the group wants the instance, for a grant from before either", async () => {
    const { of, pass, running } = await workerWithJob({
      taking: async (metadata) => {
        metadata.set(STATE, "Terminated");
        await new Promise((resolve) => setTimeout(resolve, 4_000));
      },
      starts: false,
    });
    await pass(90_000);
    await running;
    expect(of("protected true")).toEqual([]);
    expect(of("daemon started")).toEqual([]);
  });

  test("it is dropped at once when the group wants the instance, while a job still runs", async () => {
    const { events, metadata, pass, running } = await workerWithJob({ mode: "finish", deadlineSeconds: 600 });
    const order = () => events.map(({ what }) => what).filter((what) => [...PROTECTION, "daemon gone"].includes(what));
    metadata.set(STATE, "Terminated");
    await pass(700_000);
    await running;
    expect(order().slice(-3)).toEqual(["protected true", "protected false", "daemon gone"]);
  });

  test("what fails to drop it is tried again each half minute while a job still runs, and no more once it is dropped", async () => {
    // GIVEN a group that does not answer from the notice on, for a minute and a half
    let failsUntil = 0;
    const asked: number[] = [];
    const unprotecting = async () => {
      asked.push(Date.now());
      if (Date.now() < failsUntil) throw new Error("Throttling");
    };
    const { events, metadata, of, pass } = await workerWithJob({
      unprotecting,
      mode: "finish",
      deadlineSeconds: 7_200,
    });
    asked.length = 0;
    const noticed = Date.now();
    failsUntil = noticed + 90_000;

    // WHEN
    metadata.set(REBALANCE, JSON.stringify({ noticeTime: "2026-01-02T03:04:05Z" }));
    await pass(600_000);

    // THEN
    expect(asked.length).toBeGreaterThanOrEqual(3);
    expect(asked.length).toBeLessThanOrEqual(5);
    const last = events.filter(({ what }) => what === "protected false").at(-1);
    expect(last?.at).toBeGreaterThanOrEqual(failsUntil);
    expect(last?.at).toBeLessThanOrEqual(failsUntil + 31_000);
    expect(of("daemon gone")).toEqual([]);
  });
});
