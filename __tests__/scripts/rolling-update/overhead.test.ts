import { majorityStays } from "../../../scripts/rolling-update/probes/node-checks";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { seeded } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { rehearse } from "../../support/rolling";

const SHUTDOWN_MS = 40_000;
const DETACH_MS = 3_000;
const START_MS = 15_000;
const BOOT_MS = 60_000;
/** What the group, EC2 and the node need by themselves: notice, poll for running, attach, hook, enter service. */
const WITHOUT_TOOL_MS = SHUTDOWN_MS + DETACH_MS + 2_000 + START_MS + 1_000 + BOOT_MS + 1_000;

describe("what the roller adds", () => {
  test.each([5, 50])("R24: at most 20 s per node beyond AWS and the application, %i nodes", async (nodes) => {
    const aws = await SimulatedAws.running({
      nodes,
      ec2: { shutdownMs: () => SHUTDOWN_MS, detachMs: () => DETACH_MS, startMs: () => START_MS },
      bootMs: () => BOOT_MS,
    });
    aws.release();
    const startedMs = aws.clock.now();

    const { outcome } = await rehearse(aws, { connection: { latencyMs: () => 80 } });

    expect(outcome.status).toBe("done");
    const perNode = (aws.clock.now() - startedMs) / nodes;
    expect(perNode - WITHOUT_TOOL_MS).toBeLessThanOrEqual(20_000);
  });

  test("R20: 150 groups cost two describe calls a look, and no call per node", async () => {
    const aws = await SimulatedAws.running({ nodes: 150 });
    aws.release({}, ["000", "01", "02"]);
    const names: number[] = [];

    await rehearse(aws, {
      connection: { around: (_method, call) => call() },
    });
    const looks = aws.calls.get("describeInstances") ?? 0;
    names.push(aws.calls.get("describeGroups") ?? 0, aws.calls.get("describeVolumes") ?? 0);

    for (const calls of names) expect(calls).toBeLessThanOrEqual(looks + 3);
  });

  test("R24: several nodes of a zone go together only while a majority stays", async () => {
    const aws = await SimulatedAws.running({ nodes: 7, zones: ["a"] });
    const monitor = new Monitor(aws, 0, 3);
    aws.release();

    const { outcome } = await rehearse(aws, { settings: { parallelWithinZone: 5 } });

    expect(outcome.status).toBe("done");
    const together = monitor.terminated.map(
      ({ atMs }) => monitor.terminated.filter((other) => Math.abs(other.atMs - atMs) < 60_000).length,
    );
    expect(together[0]).toBe(1);
    expect(Math.max(...together)).toBe(3);
    expect(monitor.violations).toEqual([]);
  });

  test("R24: in 10,000 random topologies no set is let go that breaks the majority", () => {
    const random = seeded(7);
    for (let round = 0; round < 10_000; round++) {
      const all = 3 + Math.floor(random() * 9);
      const down = Math.floor(random() * all);
      const going = 1 + Math.floor(random() * all);
      const staying = Math.max(0, all - down - going);
      expect(majorityStays(staying, all).ok).toBe(staying > all / 2);
    }
  });
});
