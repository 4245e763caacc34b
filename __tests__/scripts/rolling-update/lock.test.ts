import { type Clock, systemClock } from "../../../scripts/rolling-update/clock";
import type { Cloud } from "../../../scripts/rolling-update/cloud";
import { fenced, kept, LOCK_TTL_MS, Lock, lockOwner, MUTATION_MARGIN_MS } from "../../../scripts/rolling-update/lock";
import { RollError } from "../../../scripts/rolling-update/roll-error";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { VirtualClock } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { seededRandom } from "../../../scripts/seeded-random";

const SCHEDULES = 1_000;

/** A cluster that a roller has just taken. */
async function taken(owner: string) {
  const clock = new VirtualClock(seededRandom(1));
  const store = new MemoryStore();
  const process = clock.process();
  const lock = await clock.run(Lock.acquire(store.connect(process), process, owner));
  if (lock === "still running") throw new Error("not acquired");
  return { clock, store, process, lock };
}

/** The clock of a machine that is two lives of a lease ahead. */
const fastClock = (process: Clock): Clock => ({ ...process, now: () => process.now() + 2 * LOCK_TTL_MS });

/** A cloud that whoever holds the lock may change, and what was changed. */
function fencedCloud(lock: Lock) {
  const changes: string[] = [];
  const suspendLaunch = async (group: string) => void changes.push(group);
  return { cloud: fenced({ suspendLaunch } as unknown as Cloud, lock), changes };
}

describe("the lock", () => {
  test(`R8: in ${SCHEDULES} schedules of two rollers no two change the cluster in one another's time`, async () => {
    let takeovers = 0;
    for (let seed = 1; seed <= SCHEDULES; seed++) {
      const random = seededRandom(seed);
      const clock = new VirtualClock(random);
      const store = new MemoryStore();
      const spans: { owner: number; epoch: number; from: number; to: number }[] = [];
      const upTo = (ms: number) => Math.floor(random() * ms);

      const runner = async (owner: number): Promise<void> => {
        const own = clock.process();
        // Clocks differ, in one schedule of two by up to two lives of a lease.
        const skewMs = seed % 2 === 0 ? upTo(4 * LOCK_TTL_MS) - 2 * LOCK_TTL_MS : 0;
        const process: Clock = { ...own, now: () => own.now() + skewMs, sleep: own.sleep, random: own.random };
        const connection = store.connect(own, () => upTo(400));
        await process.sleep(upTo(30_000));
        for (let attempt = 0; attempt < 40; attempt++) {
          try {
            const lock = await Lock.acquire(connection, process, `runner ${owner}`);
            if (lock.epoch > 1) takeovers++;
            const cloud = fenced(
              {
                suspendLaunch: async () => {
                  const from = clock.now();
                  await process.sleep(upTo(MUTATION_MARGIN_MS));
                  spans.push({ owner, epoch: lock.epoch, from, to: clock.now() });
                },
              } as unknown as Cloud,
              lock,
            );
            for (let step = 0; step < 5; step++) {
              await cloud.suspendLaunch("g");
              await lock.keep();
              await process.sleep(random() < 0.2 ? upTo(3 * LOCK_TTL_MS) : upTo(8_000));
            }
            if (random() < 0.5) await lock.release();
            return;
          } catch (error) {
            if (!(error instanceof RollError)) throw error;
            await process.sleep(upTo(20_000));
          }
        }
      };
      await clock.run(Promise.all([runner(1), runner(2)]), 3_600_000);

      const overlaps = spans.filter((a) => spans.some((b) => a.owner !== b.owner && a.from < b.to && b.from < a.to));
      expect({ seed, overlaps }).toEqual({ seed, overlaps: [] });
      const inOrder = [...spans].sort((a, b) => a.from - b.from).map(({ epoch }) => epoch);
      expect({ seed, inOrder }).toEqual({ seed, inOrder: [...inOrder].sort((a, b) => a - b) });
    }
    expect(takeovers).toBeGreaterThan(100);
  }, 120_000);

  test("R8: a second roller ends within five seconds, naming the owner", async () => {
    const { clock, store } = await taken("ana on laptop");

    const second = clock.process();
    const startedMs = clock.now();
    const refusal = clock.run(
      Lock.acquire(
        store.connect(second, () => 300),
        second,
        "ci",
      ),
    );

    await expect(refusal).rejects.toMatchObject({
      code: "LOCK_HELD",
      message: expect.stringContaining("ana on laptop"),
    });
    expect(clock.now() - startedMs).toBeLessThanOrEqual(5_000);
  });

  test("R8: the lock of a dead roller is taken within its time to live and thirty seconds", async () => {
    const { clock, store, process: first } = await taken("dead");
    first.kill();
    const diedMs = clock.now();

    const second = clock.process();
    await clock.run(second.sleep(LOCK_TTL_MS));
    await clock.run(Lock.acquire(store.connect(second), second, "heir"));

    expect(clock.now() - diedMs).toBeLessThanOrEqual(LOCK_TTL_MS + 30_000);
    await expect(lockOwner(store)).resolves.toBe("heir");
  });

  test("R8: a roller whose lease looks expired to a fast clock keeps the cluster while it renews", async () => {
    const { clock, store, process: slow, lock } = await taken("slow clock");
    const keeping = (async () => {
      for (let turn = 0; turn < 20; turn++) {
        await slow.sleep(5_000);
        await lock.keep();
      }
    })();
    const fast = clock.process();
    const ahead = fastClock(fast);

    const refusal = clock.run(Lock.acquire(store.connect(fast), ahead, "fast clock"));

    await expect(refusal).rejects.toMatchObject({ code: "LOCK_HELD" });
    await clock.run(keeping);
  });

  test("R8: a roller whose clock is set back keeps the cluster", async () => {
    const clock = new VirtualClock(seededRandom(1));
    const store = new MemoryStore();
    const own = clock.process();
    let setBackMs = 0;
    const process: Clock = { ...own, now: () => own.now() - setBackMs };
    const lock = await clock.run(Lock.acquire(store.connect(own), process, "set back"));
    if (lock === "still running") throw new Error("not acquired");
    setBackMs = 600_000;
    const keeping = (async () => {
      for (let turn = 0; turn < 20; turn++) {
        await own.sleep(5_000);
        await lock.keep();
      }
    })();
    const second = clock.process();
    await clock.run(second.sleep(LOCK_TTL_MS + 1_000));

    const refusal = clock.run(Lock.acquire(store.connect(second), second, "second"));

    await expect(refusal).rejects.toMatchObject({ code: "LOCK_HELD" });
    await clock.run(keeping);
  });

  test("R8: the lock of a dead roller whose clock was a day ahead is taken, once it was watched for long enough", async () => {
    const { clock, store } = await taken("today");
    const first = clock.process();
    const ahead: Clock = { ...first, now: () => first.now() + 24 * 3_600_000 };
    const lock = await clock.run(Lock.acquire(store.connect(first), ahead, "tomorrow"));
    expect(lock).toMatchObject({ epoch: 2 });
    first.kill();
    const diedMs = clock.now();

    const second = clock.process();
    await clock.run(Lock.acquire(store.connect(second), second, "heir"));

    expect(clock.now() - diedMs).toBeLessThanOrEqual(LOCK_TTL_MS + 30_000);
    await expect(lockOwner(store)).resolves.toBe("heir");
  });

  test("R8: a roller that slept while one with a fast clock took the cluster changes nothing more, its own lease not out", async () => {
    const { clock, store, lock } = await taken("sleeper");
    const { cloud, changes } = fencedCloud(lock);
    const fast = clock.process();
    const ahead = fastClock(fast);
    await clock.run(Lock.acquire(store.connect(fast), ahead, "fast clock"));
    expect(clock.now() + MUTATION_MARGIN_MS).toBeLessThan(LOCK_TTL_MS);

    await expect(clock.run(cloud.suspendLaunch("orders-node-00"))).rejects.toMatchObject({ code: "LOCK_LOST" });

    expect(changes).toEqual([]);
    await expect(lockOwner(store)).resolves.toBe("fast clock");
  });

  test.each([1_000, 14_000, 19_000, 29_000])(
    "R8: a change begun %i ms after the last renewal is over before one with a fast clock takes the cluster",
    async (ageMs) => {
      const { clock, store, process: busy, lock } = await taken("busy");
      let isChanging = false;
      const slowly = async () => {
        isChanging = true;
        await busy.sleep(MUTATION_MARGIN_MS);
        isChanging = false;
      };
      const cloud = fenced({ suspendLaunch: slowly } as unknown as Cloud, lock);
      const changing = busy.sleep(ageMs).then(() => cloud.suspendLaunch("orders-node-00"));
      const fast = clock.process();
      const ahead = fastClock(fast);

      const overlaps = await clock.run(
        Lock.acquire(store.connect(fast), ahead, "fast clock").then(
          () => isChanging,
          () => false,
        ),
      );

      expect(overlaps).toBe(false);
      await clock.run(changing);
    },
  );

  test("R8: a roller whose creation of the lock is taken, but not answered, has the lock when it tries again", async () => {
    const clock = new VirtualClock(seededRandom(1));
    const store = new MemoryStore();
    const process = clock.process();
    const unanswered = store.connect(
      process,
      () => 0,
      async (method, call) => {
        const answer = await call();
        return method === "create" ? call() : answer;
      },
    );

    const lock = await clock.run(Lock.acquire(unanswered, process, "alice"));

    expect(lock).toMatchObject({ epoch: 1 });
    await expect(clock.run(Lock.acquire(unanswered, process, "bob"))).rejects.toMatchObject({ code: "LOCK_HELD" });
  });

  test("R8: a renewal that took most of the lease covers no change", async () => {
    const clock = new VirtualClock(seededRandom(1));
    const store = new MemoryStore();
    const slow = clock.process();
    let renewalMs = 0;
    const connection = store.connect(
      slow,
      () => 0,
      async (method, call) => {
        if (method === "write") await slow.sleep(renewalMs);
        return call();
      },
    );
    const lock = await clock.run(Lock.acquire(connection, slow, "slow"));
    if (lock === "still running") throw new Error("not acquired");
    const { cloud, changes } = fencedCloud(lock);
    await clock.run(slow.sleep(LOCK_TTL_MS / 2));
    renewalMs = LOCK_TTL_MS - MUTATION_MARGIN_MS + 1_000;

    await expect(clock.run(cloud.suspendLaunch("orders-node-00"))).rejects.toMatchObject({ code: "LOCK_LOST" });

    expect(changes).toEqual([]);
  });

  test("R8: a roller that gave the cluster back changes nothing more once another has it, however fresh its lease", async () => {
    const { clock, store, lock } = await taken("former");
    const { cloud, changes } = fencedCloud(lock);
    await clock.run(lock.release());
    const next = clock.process();
    await clock.run(Lock.acquire(store.connect(next), next, "next"));

    await expect(clock.run(cloud.suspendLaunch("orders-node-00"))).rejects.toMatchObject({ code: "LOCK_LOST" });

    expect(changes).toEqual([]);
  });

  test("R8: a check that never answers ends once the lock is lost", async () => {
    const clock = new VirtualClock(seededRandom(1));
    const lost = new RollError("LOCK_LOST", "taken");
    const keep = () => Promise.reject(lost);
    const probe = kept({ health: () => new Promise<never>(() => {}) }, { keep }, clock.process());

    await expect(clock.run(probe.health())).rejects.toBe(lost);
  });

  test("a check that has answered leaves no timer that keeps the program from ending", async () => {
    jest.useFakeTimers();
    try {
      const probe = kept({ health: async () => "well" }, { keep: async () => {} }, systemClock);

      await expect(probe.health()).resolves.toBe("well");

      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
