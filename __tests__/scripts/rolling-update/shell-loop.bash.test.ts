import { faultsOf } from "../../../scripts/bench-rolling/compare";
import { SCENARIOS } from "../../../scripts/bench-rolling/scenarios";
import { shellLoop } from "../../../scripts/bench-rolling/shell/shell-loop";
import { holdfast, terminateAndPoll } from "../../../scripts/bench-rolling/updaters";

jest.setTimeout(300_000);

/** Those in which the loop does not poll for ten minutes; `npm run bench:rolling` runs the others too. */
const SHORT = [
  "stale read after terminate",
  "`$Latest` group",
  "new template, same version number",
  "crash between terminate and relaunch",
  "unrelated node dies mid-roll",
  "leader moves mid-roll",
  "flapping node",
  "throttling 50 %",
];

test("R25: a real Bash loop in the simulator's time fails eight scenarios that this roller passes", async () => {
  const scenarios = SCENARIOS.filter(({ name }) => SHORT.includes(name));
  expect(scenarios).toHaveLength(8);

  for (const scenario of scenarios) {
    const inBash = await faultsOf(shellLoop, scenario);
    expect({ name: scenario.name, failed: inBash.length > 0 }).toEqual({ name: scenario.name, failed: true });
    await expect(faultsOf(holdfast, scenario)).resolves.toEqual([]);
  }
});

test.each(["`$Latest` group", "new template, same version number"])(
  "R2: Bash takes %s for up to date, as its restatement does",
  async (name) => {
    const scenario = SCENARIOS.find((each) => each.name === name);
    if (!scenario) throw new Error("the scenario is gone");

    const inBash = await faultsOf(shellLoop, scenario);

    expect(inBash).toEqual(["claimed success with 3 nodes not replaced"]);
    await expect(faultsOf(terminateAndPoll, scenario)).resolves.toEqual(inBash);
  },
);
