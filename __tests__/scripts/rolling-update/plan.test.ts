import { plan, planSchema } from "../../../scripts/rolling-update/plan";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { rehearse } from "../../support/rolling";

async function planOf(aws: SimulatedAws) {
  const process = aws.clock.process();
  const ports = {
    cloud: aws.connect(process),
    clock: process,
    probe: aws.guests.probe(process, () => 0),
    store: new MemoryStore().connect(process),
  };
  const result = await aws.clock.run(plan(ports, aws.manifest, parseSettings()));
  if (result === "still running") throw new Error("the plan did not end");
  return result;
}

describe("the plan", () => {
  test("R1: names every node's template, reason, order and risk, and changes nothing", async () => {
    const aws = await SimulatedAws.running();
    aws.guests.lead("00");
    aws.release({}, ["00", "02"]);

    const result = await planOf(aws);

    expect(planSchema.parse(result)).toEqual(result);
    expect(result.nodes).toMatchObject([
      {
        node: "00",
        current: { id: "lt-00", version: 1 },
        target: { id: "lt-00", version: 2 },
        reason: "other version",
        order: 2,
        risks: ["leads the cluster: its leadership moves"],
      },
      { node: "01", current: { version: 1 }, target: { version: 1 }, reason: null, order: null, risks: [] },
      { node: "02", reason: "other version", order: 1, risks: [] },
    ]);
    expect(aws.mutations).toEqual([]);
  });

  test("R1: an unchanged cluster has an empty plan, and a roll of it changes nothing", async () => {
    const aws = await SimulatedAws.running();

    const result = await planOf(aws);
    const { outcome } = await rehearse(aws);

    expect(result.nodes.map(({ order }) => order)).toEqual([null, null, null]);
    expect(outcome).toEqual({ status: "done", replaced: [] });
    expect(aws.mutations).toEqual([]);
  });

  test("R1: a node that its group brings by itself is said to be waited for", async () => {
    const aws = await SimulatedAws.running({ groupless: ["02"] });
    const [, , late] = aws.manifest.nodes;
    if (late) aws.makeGroup(late);

    const result = await planOf(aws);

    expect(result.nodes[2]).toMatchObject({
      instance: null,
      current: null,
      reason: "no instance",
      order: 1,
      risks: ["it has no instance; its group launches one by itself: the roll waits for it"],
    });
  });

  test("R12: when nothing moves, the roll goes in the order of the plan", async () => {
    const aws = await SimulatedAws.running({ nodes: 5, zones: ["b", "a", "b", "a", "c"] });
    aws.guests.lead("01");
    aws.release();

    const planned = (await planOf(aws)).nodes
      .filter(({ order }) => order !== null)
      .sort((a, b) => (a.order ?? 0) - (b.order ?? 0))
      .map(({ node }) => node);
    const { events } = await rehearse(aws);
    const rolled = events.filter(({ phase, kind }) => kind === "phase" && phase === "done").map(({ node }) => node);

    expect(planned).toEqual(["03", "00", "02", "04", "01"]);
    expect(rolled).toEqual(planned);
  });
});
