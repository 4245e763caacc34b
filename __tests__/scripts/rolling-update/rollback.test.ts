import { rollback } from "../../../scripts/rolling-update/roll";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { rehearse, startRoll, stranded } from "../../support/rolling";

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

/** The command that rolls back what the journal tells of. */
function takeBack(aws: SimulatedAws, store: MemoryStore, irreversible = false) {
  const process = aws.clock.process();
  const ports = {
    cloud: aws.connect(process),
    clock: process,
    store: store.connect(process),
    probe: aws.guests.probe(process, () => 0),
    report: () => {},
  };
  return aws.clock.run(rollback(ports, aws.deployment(), parseSettings({ irreversible }), { owner: "tester" }));
}

describe("rolling back", () => {
  test.each([1, 2, 3, 4, 5])("R18: failure at node %i returns every touched node to its version", async (k) => {
    const { aws, monitor } = await failingAt(k);

    const { outcome } = await rehearse(aws, { settings: { onFailure: "rollback" } });

    expect(outcome).toMatchObject({ status: "rolled back", error: { code: "HOOK_ABANDONED" } });
    expect(versions(aws)).toEqual(["1", "1", "1", "1", "1"]);
    expect(monitor.terminated.length).toBeLessThanOrEqual(2 * k);
    expect(monitor.violations).toEqual([]);
    expect(stranded(aws)).toEqual([]);
  });

  test("R18: a closed gate is no failure of the release: nothing is rolled back", async () => {
    const aws = await SimulatedAws.running();
    aws.release();
    const monitor = new Monitor(aws);
    const { onChange } = aws.guests;
    aws.guests.onChange = (nodeId, serving) => {
      onChange(nodeId, serving);
      if (nodeId === "00" && serving) aws.guests.degrade("02", 48 * 3_600_000);
    };

    const { outcome } = await rehearse(aws, { settings: { onFailure: "rollback" } });

    expect(outcome).toMatchObject({ status: "failed", error: { code: "GATE_CLOSED", node: "00" } });
    expect(monitor.terminatedNodes).toEqual(["00"]);
    expect(aws.mutations.filter(({ method }) => method === "setTemplate")).toEqual([]);
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

    const outcome = await takeBack(aws, store);

    expect(outcome).toMatchObject({ status: "rolled back" });
    expect(versions(aws)).toEqual(["1", "1", "1"]);
  });

  test.each([
    ["when it was rolled out", true, false],
    ["only since", false, true],
  ])("R18: an irreversible release is not taken back by a command either, marked so %s", async (_name, then, now) => {
    const aws = await SimulatedAws.running();
    aws.release();
    const store = new MemoryStore();
    await rehearse(aws, { store, settings: { irreversible: then } });
    const changes = aws.mutations.length;

    await expect(takeBack(aws, store, now)).rejects.toMatchObject({ code: "IRREVERSIBLE" });

    expect(versions(aws)).toEqual(["2", "2", "2"]);
    expect(aws.mutations).toHaveLength(changes);
  });

  test("R18: a rollback that dies at any of its calls is resumed to its end, no node taken back twice", async () => {
    const dying = async (nth: number) => {
      const { aws, monitor } = await failingAt(2);
      const store = new MemoryStore();
      const process = aws.clock.process();
      let calls = 0;
      const isBackwards = () => aws.mutations.some(({ method }) => method === "setTemplate");
      const around = async (_method: string, call: () => Promise<unknown>) => {
        const answer = await call();
        if (isBackwards() && ++calls === nth) process.kill();
        return answer;
      };
      const settings = { onFailure: "rollback", pollMs: 20_000, successes: 1 } as const;
      const first = startRoll(aws, { store, process, settings, connection: { around }, aroundStore: around });
      const ended = await aws.clock.run(first.done, 4 * 3_600_000);
      if (ended !== "still running") return { calls, nth, status: ended.outcome.status };
      await aws.pass(91_000);
      const { outcome } = await rehearse(aws, { store, resume: true, settings });
      return {
        nth,
        // Its record may have been closed before the roller died: then there is nothing left to do.
        status: outcome.error?.code ?? outcome.status,
        versions: versions(aws),
        tooMany: monitor.terminated.length > 4,
        violations: monitor.violations,
        stranded: stranded(aws),
      };
    };
    const whole = await dying(0);
    expect(whole).toMatchObject({ status: "rolled back" });

    let deaths = 0;
    for (let nth = 1; nth < (whole.calls ?? 0); nth++) {
      const result = await dying(nth);
      // It had ended before it could die.
      if (result.calls !== undefined) continue;
      deaths++;
      expect(result).toEqual({
        nth,
        status: expect.stringMatching(/^(rolled back|NOTHING_TO_RESUME)$/),
        versions: ["1", "1", "1", "1", "1"],
        tooMany: false,
        violations: [],
        stranded: [],
      });
    }
    expect(deaths).toBeGreaterThan(0);
  });
});
