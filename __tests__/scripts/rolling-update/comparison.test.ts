import { faultsOf } from "../../../scripts/bench-rolling/compare";
import { SCENARIOS } from "../../../scripts/bench-rolling/scenarios";
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
    const stale = SCENARIOS.find(({ name }) => name === "stale read after terminate");
    if (!stale) throw new Error("the scenario is gone");

    await expect(faultsOf(terminateAndPoll, stale)).resolves.toContainEqual(
      expect.stringMatching(/while another was down|claimed success/),
    );
  });
});
