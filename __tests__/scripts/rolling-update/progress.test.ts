import { eventJsonSchema, eventSchema } from "../../../scripts/rolling-update/events";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { rehearse } from "../../support/rolling";

describe("telling what happens", () => {
  test("R21: no silence beyond thirty seconds, every event of the published shape, durations at the end", async () => {
    const aws = await SimulatedAws.running({ ec2: { shutdownMs: () => 600_000 }, bootMs: () => 900_000 });
    aws.release();

    const { events } = await rehearse(aws, {
      settings: { bakeMs: 300_000 },
      drain: { drain: () => aws.clock.process().sleep(200_000), undrain: async () => {} },
    });

    for (const event of events) expect(eventSchema.parse(event)).toEqual(event);
    const times = events.map(({ time }) => Date.parse(time));
    const silences = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.max(...silences)).toBeLessThanOrEqual(30_000);
    const last = events.at(-1);
    expect(last).toMatchObject({ kind: "finished", reason: "done" });
    for (const node of ["00", "01", "02"]) {
      expect(Object.keys(last?.durations?.[node] ?? {})).toEqual(
        expect.arrayContaining(["draining", "terminating", "launching", "validating", "baking"]),
      );
    }
    expect(events.some(({ etaMs }) => etaMs !== undefined && etaMs > 600_000)).toBe(true);
  });

  test("R21: the schema can be published", () => {
    expect(eventJsonSchema()).toMatchObject({ type: "object", additionalProperties: false });
  });
});
