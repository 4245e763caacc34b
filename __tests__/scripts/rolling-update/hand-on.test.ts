import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws, type SimulationOptions } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { behind, type Rehearsal, startRoll, stranded } from "../../support/rolling";

/** A released cluster, and a roller that may run on its nodes: it lives as long as its instance. */
async function cluster(options: SimulationOptions = {}) {
  const aws = await SimulatedAws.running(options);
  aws.release();
  const monitor = new Monitor(aws);
  const store = new MemoryStore();
  const instanceOf = (node: string) => aws.group(`orders-node-${node}`).instances.at(-1)?.id ?? "";
  const hops: string[] = [];

  /** Rolls from a node, and from the one named by each hand-over in turn, as a person who follows the advice would. */
  const rollFrom = async (node: string, rehearsal: Rehearsal = {}) => {
    for (let at = node, resume = false; ; resume = true) {
      hops.push(at);
      const runsOn = instanceOf(at);
      const process = aws.clock.process();
      const note = aws.onRemoval;
      aws.onRemoval = (instanceId) => {
        note(instanceId);
        if (instanceId === runsOn) process.kill();
      };
      const { done } = startRoll(aws, { ...rehearsal, store, process, runsOn, resume });
      const result = await aws.clock.run(done, 48 * 3_600_000);
      if (result === "still running") throw new Error(`the roller on node ${at} died with its node`);
      const { status, successors = [] } = result.outcome;
      if (status !== "handed over") return result.outcome;
      at = successors[0] ?? "";
    }
  };
  return { aws, monitor, store, hops, rollFrom };
}

describe("a roll that runs on one of the nodes", () => {
  test.each(["00", "01", "02"])(
    "R3: started on node %s it replaces every node once, in the order of any other roll, and no roller dies with its node",
    async (node) => {
      const { aws, monitor, rollFrom } = await cluster();

      const outcome = await rollFrom(node);

      expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
      expect(monitor.terminatedNodes).toEqual(["00", "01", "02"]);
      expect(monitor.violations).toEqual([]);
      expect(behind(aws)).toEqual([]);
      expect(stranded(aws)).toEqual([]);
    },
  );

  test("goes on from a node that is replaced, else from the one whose turn is last", async () => {
    const fromTheMiddle = await cluster({ nodes: 5 });
    await fromTheMiddle.rollFrom("02");
    expect(fromTheMiddle.hops).toEqual(["02", "00"]);

    const fromTheFirst = await cluster({ nodes: 5 });
    await fromTheFirst.rollFrom("00");
    expect(fromTheFirst.hops).toEqual(["00", "04", "00"]);
  });

  test("R8: the roller that hands over can change nothing more: the next one holds a higher number", async () => {
    const { aws, store } = await cluster();
    const runsOn = aws.group("orders-node-00").instances[0]?.id ?? "";
    const first = await aws.clock.run(startRoll(aws, { store, runsOn }).done);
    if (first === "still running") throw new Error("the roll did not end");

    expect(first.outcome).toMatchObject({ status: "handed over", replaced: [], successors: ["02", "01"] });
    expect(aws.mutations).toEqual([]);
    await expect(store.list("lock/")).resolves.toEqual(
      new Map([["lock/1", expect.stringContaining('"released":true')]]),
    );
    const second = await aws.clock.run(startRoll(aws, { store, resume: true }).done);
    if (second === "still running") throw new Error("the roll did not end");
    expect(second.outcome.status).toBe("done");
    expect([...(await store.list("lock/")).keys()]).toEqual(["lock/2"]);
  });

  test("R12: the leader is still last, though the roller does not run on it", async () => {
    const { aws, monitor, rollFrom } = await cluster({ nodes: 5, zones: ["a"] });
    aws.guests.lead("01");

    await rollFrom("04");

    expect(monitor.terminatedNodes).toEqual(["00", "02", "03", "04", "01"]);
  });

  test("R18: a release that fails is rolled back from wherever the roll has come to", async () => {
    const { aws, monitor, rollFrom } = await cluster({ nodes: 3 });
    aws.release({ boot: "fails" }, ["02"]);

    const outcome = await rollFrom("00", { settings: { onFailure: "rollback" } });

    expect(outcome.status).toMatch(/^(rolled back|done)$/);
    expect(aws.manifest.nodes.map(({ group }) => aws.group(group).instances[0]?.template?.version)).toEqual([
      "1",
      "1",
      "1",
    ]);
    expect(monitor.violations).toEqual([]);
  });

  test("R24: several nodes of a zone at once never include its own", async () => {
    const { monitor, hops, rollFrom } = await cluster({ nodes: 7, zones: ["a"] });

    const outcome = await rollFrom("03", { settings: { parallelWithinZone: 2 } });

    expect(outcome.status).toBe("done");
    expect(hops).toHaveLength(2);
    expect([...monitor.terminatedNodes].sort()).toEqual(["00", "01", "02", "03", "04", "05", "06"]);
  });
});
