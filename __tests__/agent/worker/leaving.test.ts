import type { UpgradePorts, Upgrades } from "../../../agent/worker/upgrade/upgrades";
import { STATE, workerWithJob } from "./worker-with-job";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.useRealTimers();
});

test("R32: a control plane that is gone for good holds the hook up until the deadline and the lease are over, and no longer", async () => {
  const worker = await workerWithJob({ deadlineSeconds: 150 });
  const { at, metadata, of, pass, lines } = worker;
  worker.refuse(0);
  const told = Date.now();
  metadata.set(STATE, "Terminated");
  await pass(100_000);
  expect(of("daemon gone")).toHaveLength(1);
  expect(of("CompleteLifecycleAction")).toEqual([]);

  await pass(100_000);
  expect(at("CompleteLifecycleAction") - told).toBeGreaterThanOrEqual(150_000);
  expect(at("CompleteLifecycleAction") - told).toBeLessThanOrEqual(170_000);
  expect(lines.join("")).toContain("leaving unheard");
  await worker.running;
});

test("R32: so does one that closed the session before it was gone", async () => {
  const { endDaemon, metadata, of, pass, refuse, running } = await workerWithJob({ deadlineSeconds: 60 });
  refuse(0);
  endDaemon();
  await pass(5_000);
  refuse(410);
  await pass(15_000);
  refuse(0);
  metadata.set(STATE, "Terminated");
  await pass(100_000);

  expect(of("CompleteLifecycleAction")).toHaveLength(1);
  await running;
});

test("R32: so does one that answers heartbeats and takes no last word: half a minute after the deadline the goodbye frees the job", async () => {
  const { at, metadata, of, pass, refuse, running, lines } = await workerWithJob({ deadlineSeconds: 60 });
  refuse(500, "release");
  const told = Date.now();
  metadata.set(STATE, "Terminated");
  await pass(89_000);
  expect(of("release").length).toBeGreaterThan(1);
  expect(of("deregister")).toEqual([]);

  await pass(10_000);
  await running;
  expect(at("deregister") - told).toBeLessThanOrEqual(95_000);
  expect(at("CompleteLifecycleAction")).toBeGreaterThanOrEqual(at("deregister"));
  expect(lines.join("")).toContain("leaving unheard");
});

describe("R32: before the hook is completed", () => {
  const START = "2026-01-02T03:04:00.000Z";

  test("the minute that has begun is reported, with what the jobs that have left told in it, and the daemons' last lines are copied", async () => {
    // GIVEN
    const copied: number[] = [];
    const copyLastWords = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      copied.push(Date.now());
    };
    const worker = await workerWithJob({ lagMs: 1_234, copyLastWords });
    const { at, metadata, pass, puts } = worker;
    expect(puts).toEqual([]);

    // WHEN
    metadata.set(STATE, "Terminated");
    await pass(20_000);
    await worker.running;

    // THEN
    const values = { SlotsUsed: 0, SlotsFree: 0, JobsUnhealthy: 0, ReplicationLag: 1_234, DrainOverrun: 0 };
    expect(puts).toEqual([{ values, minute: START, at: expect.any(Number) }]);
    expect(puts[0]?.at).toBeGreaterThanOrEqual(at("deregister"));
    expect(copied).toEqual([at("CompleteLifecycleAction")]);
  });

  test("by how much the drain was late is reported also where it ends within the minute", async () => {
    const worker = await workerWithJob({ deadlineSeconds: 5 });
    const { metadata, pass, puts } = worker;
    worker.refuse(0);
    metadata.set(STATE, "Terminated");
    await pass(20_000);
    worker.accept();
    await pass(30_000);
    await worker.running;

    expect(puts.map(({ minute }) => minute)).toEqual([START]);
    expect(puts[0]?.values["DrainOverrun"]).toBeGreaterThan(10);
  });

  test("nothing that AWS, the control plane or the journal does not answer holds it up for more than three seconds", async () => {
    // GIVEN calls that began before the job was gone, too
    const never = () => new Promise<void>(() => {});
    const worker = await workerWithJob({
      answering: never,
      copyLastWords: never,
      mode: "finish",
      deadlineSeconds: 150,
    });
    const { at, metadata, of, pass, puts } = worker;
    metadata.set(STATE, "Terminated");
    await pass(160_000);
    await worker.running;

    expect(puts.map(({ minute }) => minute)).toEqual([START, "2026-01-02T03:05:00.000Z", "2026-01-02T03:06:00.000Z"]);
    expect([...of("metrics"), ...of("RecordLifecycleActionHeartbeat")]).toHaveLength(2);
    expect(at("CompleteLifecycleAction") - at("daemon gone")).toBeLessThanOrEqual(5_000);
    expect(at("CompleteLifecycleAction") - at("deregister")).toBe(3_000);
    expect(worker.lines.join()).toContain("flush did not finish within 3 s");
  });

  test("what fails neither prevents it nor cuts off the rest", async () => {
    const copyLastWords = () => Promise.reject(new Error("no journal"));
    const answering = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      throw new Error("refused");
    };
    const { at, metadata, of, pass, running } = await workerWithJob({ answering, copyLastWords });
    metadata.set(STATE, "Terminated");
    await pass(20_000);
    await running;

    expect(of("hook CONTINUE")).toHaveLength(1);
    expect(at("CompleteLifecycleAction") - at("deregister")).toBe(1_000);
  });
});

describe("a stop", () => {
  const WATCHDOG = 30_000;

  test("asks for more time until the drain's deadline, as long as its loops turn, and is watched on", async () => {
    const worker = await workerWithJob({
      mode: "finish",
      deadlineSeconds: 600,
      watchdogPeriodMs: WATCHDOG,
      heedsTerm: false,
    });
    const { at, of, pass } = worker;
    const told = Date.now();
    worker.stop();
    await pass(700_000);
    await worker.running;

    expect(of("sign of life").filter((sign) => sign.at > told).length).toBeGreaterThan(10);
    const extended = of("extended by 90000").map((extension) => extension.at - told);
    expect(extended[0]).toBeLessThanOrEqual(WATCHDOG);
    for (const [i, time] of extended.slice(1).entries())
      expect(time - (extended[i] ?? 0)).toBeLessThanOrEqual(WATCHDOG);
    expect(extended.at(-1)).toBeGreaterThan(at("daemon gone") - told - WATCHDOG);
    expect(extended.at(-1)).toBeLessThanOrEqual(600_000);
    expect(of("deregister")).toHaveLength(1);
  });

  describe("that comes when the agent is about to be started again for an upgrade", () => {
    async function restarting(props: Parameters<typeof workerWithJob>[0] = {}) {
      let restart = () => {};
      let abandoned = 0;
      const upgrades = (ports: UpgradePorts) => {
        restart = ports.restart;
        return {
          ...{ resume: async () => {}, said: () => undefined, heard: async () => {} },
          abandon: async () => void abandoned++,
        } as unknown as Upgrades;
      };
      const worker = await workerWithJob({ ...props, upgrades });
      return { ...worker, restart: () => restart(), abandoned: () => abandoned };
    }

    test("gives every job back, says goodbye and ends for good, with the version that ran", async () => {
      const { abandoned, events, of, pass, restart, running, stop } = await restarting();
      restart();
      stop();
      await pass(60_000);

      expect(await running).toBe("asked");
      const order = ["asked to stop", "daemon gone", "release", "deregister"];
      expect(events.map(({ what }) => what).filter((what) => order.includes(what))).toEqual(order);
      expect(of("SIGKILL")).toEqual([]);
      expect(abandoned()).toBe(1);
    });

    test("does so in the time that a machine leaves which is turned off", async () => {
      const worker = await restarting({
        mode: "finish",
        deadlineSeconds: 3_600,
        machineStops: async () => true,
        stopsAfterMs: 7_200_000,
        heedsTerm: false,
      });
      worker.restart();
      worker.stop();
      await worker.pass(80_000);
      await worker.running;

      expect(worker.of("deregister")).toHaveLength(1);
    });

    test("leaves the daemons to the next life where none comes", async () => {
      const { abandoned, of, pass, restart, running } = await restarting();
      restart();
      await pass(5_000);

      expect(await running).toBe("restart");
      expect([...of("asked to stop"), ...of("release"), ...of("deregister")]).toEqual([]);
      expect(abandoned()).toBe(0);
    });
  });

  test("that turns out to be the machine's lets the jobs go at once, in a minute at most", async () => {
    let goesDown: (stops: boolean) => void = () => {};
    const machineStops = () => new Promise<boolean>((resolve) => (goesDown = resolve));
    const worker = await workerWithJob({
      mode: "finish",
      deadlineSeconds: 3_600,
      machineStops,
      stopsAfterMs: 7_200_000,
      heedsTerm: false,
    });
    worker.stop();
    await worker.pass(100_000);
    expect(worker.of("asked to stop")).toEqual([]);

    const down = Date.now();
    goesDown(true);
    await worker.pass(80_000);
    await worker.running;

    expect(worker.at("asked to stop") - down).toBeLessThanOrEqual(20_000);
    expect(worker.at("daemon gone") - down).toBeLessThanOrEqual(60_000);
    expect(worker.of("deregister")).toHaveLength(1);
  });
});
