import type { Cloud } from "../../../scripts/rolling-update/cloud";
import { fenced, LOCK_TTL_MS, Lock, lockOwner } from "../../../scripts/rolling-update/lock";
import { RollError } from "../../../scripts/rolling-update/roll-error";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { VirtualClock } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { seededRandom } from "../../../scripts/seeded-random";

const SCHEDULES = 1_000;

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
        const process = clock.process();
        const connection = store.connect(process, () => upTo(400));
        await process.sleep(upTo(30_000));
        for (let attempt = 0; attempt < 40; attempt++) {
          try {
            const lock = await Lock.acquire(connection, process, `runner ${owner}`);
            if (lock.epoch > 1) takeovers++;
            const cloud = fenced(
              {
                suspendLaunch: async () => {
                  const from = clock.now();
                  await process.sleep(upTo(10_000));
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
    const clock = new VirtualClock(seededRandom(1));
    const store = new MemoryStore();
    const first = clock.process();
    await clock.run(Lock.acquire(store.connect(first), first, "ana on laptop"));

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
    const clock = new VirtualClock(seededRandom(1));
    const store = new MemoryStore();
    const first = clock.process();
    await clock.run(Lock.acquire(store.connect(first), first, "dead"));
    first.kill();
    const diedMs = clock.now();

    const second = clock.process();
    await clock.run(second.sleep(LOCK_TTL_MS));
    await clock.run(Lock.acquire(store.connect(second), second, "heir"));

    expect(clock.now() - diedMs).toBeLessThanOrEqual(LOCK_TTL_MS + 30_000);
    await expect(lockOwner(store)).resolves.toBe("heir");
  });

  test("R8: a roller whose lease looks expired to a fast clock keeps the cluster while it renews", async () => {
    const clock = new VirtualClock(seededRandom(1));
    const store = new MemoryStore();
    const slow = clock.process();
    const lock = await clock.run(Lock.acquire(store.connect(slow), slow, "slow clock"));
    if (lock === "still running") throw new Error("not acquired");
    const keeping = (async () => {
      for (let turn = 0; turn < 20; turn++) {
        await slow.sleep(5_000);
        await lock.keep();
      }
    })();
    const fast = clock.process();
    const ahead = { ...fast, now: () => fast.now() + 2 * LOCK_TTL_MS, sleep: fast.sleep, random: fast.random };

    const refusal = clock.run(Lock.acquire(store.connect(fast), ahead, "fast clock"));

    await expect(refusal).rejects.toMatchObject({ code: "LOCK_HELD" });
    await clock.run(keeping);
  });
});
