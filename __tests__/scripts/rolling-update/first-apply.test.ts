import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { rehearse } from "../../support/rolling";

/** What the apply that makes a cluster meets: groups that were made a moment ago. */
describe("the roll of the apply that makes the cluster", () => {
  test.each([
    ["that have no instance yet", 0],
    ["whose instances boot", 30_000],
    ["whose instances wait in their launch hooks", 120_000],
  ])("waits for groups %s, and replaces nothing", async (_, ageMs) => {
    const aws = new SimulatedAws({ bootMs: () => 300_000 });
    if (ageMs > 0) await aws.pass(ageMs);

    const { outcome, events } = await rehearse(aws);

    expect(outcome).toEqual({ status: "done", replaced: [] });
    expect(aws.mutations).toEqual([]);
    expect(events.filter(({ kind }) => kind === "action" || kind === "phase")).toEqual([]);
  });
});
