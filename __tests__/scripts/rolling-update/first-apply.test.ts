import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { behind, rehearse, stranded } from "../../support/rolling";

const MINUTE = 60_000;

/** What the apply that makes a cluster meets: groups that were made a moment ago. */
describe("the roll of the apply that makes the cluster", () => {
  test.each([
    ["that have no instance yet", 3, 0],
    ["whose instances boot", 3, 30_000],
    ["whose instances wait in their launch hooks", 3, 120_000],
    ["of a cluster of two that have no instance yet", 2, 0],
    ["of a cluster of one that has no instance yet", 1, 0],
  ])("waits for groups %s, and replaces nothing", async (_, nodes, ageMs) => {
    const aws = new SimulatedAws({ nodes, bootMs: () => 300_000 });
    if (ageMs > 0) await aws.pass(ageMs);

    const { outcome, events } = await rehearse(aws);

    expect(outcome).toEqual({ status: "done", replaced: [] });
    expect(aws.mutations).toEqual([]);
    expect(events.filter(({ kind }) => kind === "action" || kind === "phase")).toEqual([]);
    expect(aws.settled()).toBe(true);
  });

  test("a node that does not come up fails it, with the group's own reason, whether others are there or not", async () => {
    for (const nodes of [1, 3]) {
      const aws = new SimulatedAws({ nodes });
      aws.release({ boot: "fails" }, ["00"]);

      const { outcome } = await rehearse(aws);

      expect(outcome).toMatchObject({ status: "failed", error: { code: "HOOK_ABANDONED", node: "00" } });
      expect(stranded(aws)).toEqual([]);
    }
  });

  test("a node that hangs in its launch hook is waited for as long as a launch may take", async () => {
    const aws = new SimulatedAws({ nodes: 1, bootMs: () => 24 * 60 * MINUTE });

    const { outcome, events } = await rehearse(aws, { settings: { launchTimeoutMs: 10 * MINUTE } });

    expect(outcome.error).toMatchObject({
      code: "LAUNCH_TIMEOUT",
      node: "00",
      reason: expect.stringMatching(/^instance i-\w+ is Pending:Wait/),
    });
    expect(aws.mutations).toEqual([]);
    expect(events.find(({ kind }) => kind === "waiting")).toMatchObject({ node: "00", phase: "launching" });
  });

  test("a launch that is refused is not waited for: the roll says why", async () => {
    const aws = new SimulatedAws({ nodes: 1 });
    aws.ec2.launchFault = () => "We currently do not have sufficient m6i.large capacity";

    const { outcome } = await rehearse(aws);

    expect(outcome.error).toMatchObject({ code: "INSUFFICIENT_CAPACITY", node: "00" });
    expect(stranded(aws)).toEqual([]);
  });

  test("a group that launches nothing at all is waited for as long as a closed gate, and left as it is", async () => {
    const aws = new SimulatedAws({ nodes: 1, autoScaling: { noticeMs: 24 * 60 * MINUTE } });

    const { outcome, events } = await rehearse(aws, { settings: { gateTimeoutMs: 5 * MINUTE } });

    expect(outcome.error).toMatchObject({
      code: "GATE_CLOSED",
      node: "00",
      reason: "node 00: it has no instance; its group launches one by itself",
    });
    expect(aws.mutations).toEqual([]);
    expect(events.find(({ kind }) => kind === "waiting")).toMatchObject({ node: "00", phase: "gate" });
  });

  test("recovered by name, a group that launches nothing is taken like any other", async () => {
    const aws = new SimulatedAws({ nodes: 1, autoScaling: { noticeMs: 10 * MINUTE } });

    const { outcome } = await rehearse(aws, { only: ["00"], settings: { force: ["00"] } });

    expect(outcome).toEqual({ status: "done", replaced: ["00"] });
    expect(aws.mutations.map(({ method }) => method)).toEqual(["suspendLaunch", "resumeLaunch"]);
  });
});

/** A node that never came, or is new, and a release that comes with it. */
describe("the roll of an apply that makes the third group of a running cluster", () => {
  test("lets it launch by itself, and rolls the other two only after all three are up", async () => {
    const aws = await SimulatedAws.running({
      groupless: ["02"],
      bootMs: () => 5 * MINUTE,
      autoScaling: { noticeMs: MINUTE },
    });
    const late = aws.manifest.nodes[2];
    if (!late) throw new Error("there is no third node");
    aws.release({}, ["00", "01"]);
    aws.addVersion(late);
    aws.makeGroup(late);
    const monitor = new Monitor(aws);
    const upMs = new Promise<number>((resolve) => {
      const { onChange } = aws.guests;
      aws.guests.onChange = (nodeId, serving) => {
        onChange(nodeId, serving);
        if (nodeId === "02" && serving) resolve(aws.clock.now());
      };
    });

    const { outcome } = await rehearse(aws);

    expect(outcome).toEqual({ status: "done", replaced: ["00", "01"] });
    expect(monitor.terminatedNodes).toEqual(["00", "01"]);
    expect(monitor.terminated[0]?.atMs).toBeGreaterThan(await upMs);
    expect(monitor.violations).toEqual([]);
    expect(aws.mutations.filter(({ args }) => args[0] === late.group)).toEqual([]);
    expect(behind(aws)).toEqual([]);
  });
});
