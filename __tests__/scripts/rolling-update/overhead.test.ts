import { systemClock } from "../../../scripts/rolling-update/clock";
import { Gate } from "../../../scripts/rolling-update/gate";
import { inOrder } from "../../../scripts/rolling-update/order";
import { HEALTHY, unhealthy } from "../../../scripts/rolling-update/probe";
import { majorityProbe } from "../../../scripts/rolling-update/probes/node-checks";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { seededRandom } from "../../../scripts/seeded-random";
import { rehearse } from "../../support/rolling";
import { nodesAt } from "../../support/running-cluster";

const SHUTDOWN_MS = 40_000;
const DETACH_MS = 3_000;
const START_MS = 15_000;
const BOOT_MS = 60_000;
/** What the group, EC2 and the node need by themselves: notice, poll for running, attach, hook, enter service. */
const WITHOUT_TOOL_MS = SHUTDOWN_MS + DETACH_MS + 2_000 + START_MS + 1_000 + BOOT_MS + 1_000;

describe("what the roller adds", () => {
  test.each([5, 50, 150])("R24: at most 20 s per node beyond AWS and the application, %i nodes", async (nodes) => {
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

  test("R20: 150 groups are asked about once a look, never node by node", async () => {
    const aws = await SimulatedAws.running({ nodes: 150 });
    aws.release({}, ["00", "01", "02"]);

    const { outcome } = await rehearse(aws);

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
    const looks = aws.calls.get("describeInstances") ?? 0;
    expect(looks).toBeGreaterThan(10);
    for (const method of ["describeGroups", "describeVolumes", "describeInterfaces"] as const) {
      expect(aws.calls.get(method)).toBeLessThanOrEqual(looks + 3);
    }
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

  test("R24: in 10,000 random topologies no batch is formed and let go that breaks the majority", async () => {
    const random = seededRandom(7);
    const upTo = (limit: number) => Math.floor(random() * limit);
    let together = 0;
    for (let round = 0; round < 10_000; round++) {
      const zones = 1 + upTo(4);
      const nodes = nodesAt(Array.from({ length: 3 + upTo(9) }, (_, index) => `10.0.0.${index}`)).map((node) => ({
        ...node,
        zone: `zone-${upTo(zones)}`,
      }));
      const down = new Set(nodes.filter(() => random() < 0.15).map(({ id }) => id));
      const probe = majorityProbe([async ({ id }) => (down.has(id) ? unhealthy("down") : HEALTHY)]);
      const settings = parseSettings({ parallelWithinZone: 1 + upTo(6), successes: 1 });
      const gate = new Gate(probe, systemClock, nodes, settings);
      const open = inOrder(nodes, ({ id }) => down.has(id), nodes[upTo(nodes.length)]?.id);
      const first = open[0];
      if (!first) throw new Error("there are no nodes");

      const batch = await gate.widen(first, open);
      const obstacle = await gate.obstacle(batch, { troubles: new Map(), streaks: new Map() });

      const leaving = new Set(batch.map(({ id }) => id));
      const staying = nodes.filter(({ id }) => !leaving.has(id) && !down.has(id)).length;
      expect(obstacle === undefined).toBe(staying > nodes.length / 2);
      expect(batch.length).toBeLessThanOrEqual(settings.parallelWithinZone);
      expect(new Set(batch.map(({ zone }) => zone)).size).toBe(1);
      if (obstacle === undefined && batch.length > 1) together++;
    }
    expect(together).toBeGreaterThan(1_000);
  });
});
