import { CloudError } from "../../../scripts/rolling-update/cloud";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { seededRandom } from "../../../scripts/seeded-random";
import { behind, startRoll, stranded } from "../../support/rolling";

const RUNS = 10_000;
/** A death between a look and the call that follows it cannot be known: what a few slow, retried calls last. */
const KNOWABLE_MS = 15_000;

/** One roll under random latency, staleness, throttling, deaths of nodes and kills of the roller, resumed until it is over. */
async function randomRoll(seed: number): Promise<{ violations: unknown[]; faults: string[]; isDone: boolean }> {
  const random = seededRandom(seed);
  const upTo = (ms: number) => Math.floor(random() * ms);
  const aws = await SimulatedAws.running({
    seed,
    nodes: 3,
    ec2: { shutdownMs: () => 5_000 + upTo(30_000), startMs: () => 2_000 + upTo(10_000), detachMs: () => upTo(8_000) },
    bootMs: () => 5_000 + upTo(30_000),
    ...(random() < 0.2 ? { terminateHookMs: 30_000 } : {}),
  });
  aws.release(random() < 0.1 ? { boot: random() < 0.5 ? "fails" : "sick" } : {});
  const monitor = new Monitor(aws, KNOWABLE_MS);
  if (random() < 0.5) aws.clock.after(upTo(300_000), () => aws.guests.kill(`0${upTo(3)}`));
  if (random() < 0.3) aws.clock.after(upTo(300_000), () => aws.guests.degrade(`0${upTo(3)}`, upTo(120_000)));

  const staleMs = upTo(60_000) * (random() < 0.5 ? 1 : 0);
  const throttled = random() < 0.3 ? random() * 0.4 : 0;
  const store = new MemoryStore();
  let crashes = random() < 0.3 ? 2 : 0;
  let isDone = false;
  for (let attempt = 0; attempt < 4; attempt++) {
    const { done, process } = startRoll(aws, {
      store,
      settings: {
        pollMs: 20_000,
        successes: 2,
        gateTimeoutMs: 300_000,
        launchTimeoutMs: 900_000,
        healthTimeoutMs: 300_000,
      },
      connection: {
        staleMs: () => upTo(staleMs),
        latencyMs: () => (random() < 0.1 ? upTo(2_000) : 0),
        fault: (method) => (random() < throttled ? new CloudError(method, "Throttling", "Rate exceeded") : undefined),
      },
    });
    const crashAfterMs = crashes-- > 0 ? upTo(300_000) : Number.POSITIVE_INFINITY;
    const result = await aws.clock.run(done, crashAfterMs);
    if (result !== "still running") {
      isDone = result.outcome.status === "done" && behind(aws).length === 0;
      if (isDone) break;
      if (!result.outcome.error?.code.startsWith("LOCK_")) break;
    }
    process.kill();
    await aws.pass(91_000);
  }
  return { violations: monitor.violations, faults: stranded(aws), isDone };
}

describe("availability", () => {
  test(`R3: in ${RUNS} random rolls no node is terminated while another is down, and nothing is left suspended`, async () => {
    const bad: unknown[] = [];
    let done = 0;
    for (let seed = 1; seed <= RUNS; seed++) {
      const { violations, faults, isDone } = await randomRoll(seed);
      if (isDone) done++;
      if (violations.length > 0 || faults.length > 0) bad.push({ seed, violations, faults });
    }
    expect(bad).toEqual([]);
    // A roller that never dares violates nothing either; what keeps the rest is a bad release, or a death that lasts.
    expect(done).toBeGreaterThan(RUNS * 0.6);
  }, 1_800_000);

  test("R3: the monitor convicts a roller that does not look", async () => {
    const aws = await SimulatedAws.running();
    const monitor = new Monitor(aws);
    const cloud = aws.connect(aws.clock.process());

    for (const { group } of aws.manifest.nodes) {
      await cloud.terminate(aws.group(group).instances[0]?.id ?? "", false);
      await aws.pass(1_000);
    }

    expect(monitor.violations.map(({ what }) => what)).toEqual([
      "01 terminated while 00 down",
      "02 terminated while 00, 01 down",
    ]);
  });
});
