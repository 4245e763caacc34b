import { rollback } from "../../../scripts/rolling-update/roll";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { rehearse, stranded } from "../../support/rolling";

/** A release whose kth node does not come up. */
async function failingAt(k: number): Promise<{ aws: SimulatedAws; monitor: Monitor }> {
  const aws = await SimulatedAws.running({ nodes: 5, zones: ["a"] });
  aws.guests.lead("04");
  const bad = aws.manifest.nodes[k - 1]?.id ?? "";
  aws.release(
    {},
    aws.manifest.nodes.map(({ id }) => id).filter((id) => id !== bad),
  );
  aws.release({ boot: "fails" }, [bad]);
  return { aws, monitor: new Monitor(aws) };
}

const versions = (aws: SimulatedAws) =>
  aws.manifest.nodes.map(({ group }) => aws.group(group).instances[0]?.template?.version);

describe("rolling back", () => {
  test.each([1, 2, 4])("R18: failure at node %i returns every touched node to its version", async (k) => {
    const { aws, monitor } = await failingAt(k);

    const { outcome } = await rehearse(aws, { settings: { onFailure: "rollback" } });

    expect(outcome).toMatchObject({ status: "rolled back", error: { code: "HOOK_ABANDONED" } });
    expect(versions(aws)).toEqual(["1", "1", "1", "1", "1"]);
    expect(monitor.terminated.length).toBeLessThanOrEqual(2 * k);
    expect(monitor.violations).toEqual([]);
    expect(stranded(aws)).toEqual([]);
  });

  test("R18: an irreversible release is not rolled back", async () => {
    const { aws, monitor } = await failingAt(2);

    const { outcome } = await rehearse(aws, { settings: { onFailure: "rollback", irreversible: true } });

    expect(outcome.error).toMatchObject({ code: "IRREVERSIBLE", reason: expect.stringContaining("HOOK_ABANDONED") });
    expect(monitor.terminatedNodes).toEqual(["00", "01"]);
  });

  test("R18: a roll that ended can be rolled back by a command of its own", async () => {
    const aws = await SimulatedAws.running();
    aws.release();
    const store = new MemoryStore();
    await rehearse(aws, { store });
    expect(versions(aws)).toEqual(["2", "2", "2"]);

    const process = aws.clock.process();
    const ports = {
      cloud: aws.connect(process),
      clock: process,
      store: store.connect(process),
      probe: aws.guests.probe(process, () => 0),
      report: () => {},
    };
    const outcome = await aws.clock.run(rollback(ports, aws.deployment(), parseSettings(), { owner: "tester" }));

    expect(outcome).toMatchObject({ status: "rolled back" });
    expect(versions(aws)).toEqual(["1", "1", "1"]);
  });
});
