import { faultsOf, judge } from "../../../scripts/bench-rolling/compare";
import { SCENARIOS, type Scenario } from "../../../scripts/bench-rolling/scenarios";
import { holdfast, instanceRefresh, scaleToZero, terminateAndPoll } from "../../../scripts/bench-rolling/updaters";

jest.setTimeout(120_000);

describe("the published comparison", () => {
  test.each(SCENARIOS)("R25: no fault of this roller in: $name", async (scenario) => {
    await expect(faultsOf(holdfast, scenario)).resolves.toEqual([]);
  });

  test.each([
    ["terminate and poll", terminateAndPoll],
    ["scale to zero", scaleToZero],
    ["instance refresh per group", instanceRefresh],
  ])("R25: the scenarios convict %s at least eight times", async (_name, updater) => {
    const failed: string[] = [];
    for (const scenario of SCENARIOS) {
      if ((await faultsOf(updater, scenario)).length > 0) failed.push(scenario.name);
    }
    expect(failed.length).toBeGreaterThanOrEqual(8);
  });

  test("R4: the loop that only polls the state is done early, or takes a second node down, under stale reads", async () => {
    await expect(faultsOf(terminateAndPoll, scenarioNamed("stale read after terminate"))).resolves.toContainEqual(
      expect.stringMatching(/while another was down|claimed success/),
    );
  });

  test("R17: a node stuck on an older bad version: this roller converges in one run by itself, the loop that polls exits 1", async () => {
    const stuck = scenarioNamed("node in Pending:Wait from an older bad version");

    await expect(judge(holdfast, stuck)).resolves.toEqual({ exitCode: 0, faults: [] });
    await expect(judge(terminateAndPoll, stuck)).resolves.toEqual({
      exitCode: 1,
      faults: ["left 3 nodes not replaced"],
    });
  });
});

function scenarioNamed(name: string): Scenario {
  const scenario = SCENARIOS.find((each) => each.name === name);
  if (!scenario) throw new Error(`there is no scenario ${name}`);
  return scenario;
}
