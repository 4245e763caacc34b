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

  test("R21: what keeps a replaced node from being well is told at the first look that sees it", async () => {
    const aws = await SimulatedAws.running();
    aws.release();
    // GIVEN a release whose member ends once its node is in service
    const first = aws.guests.instanceServing("00");
    aws.guests.script = (nodeId) => (nodeId === "00" && aws.guests.instanceServing("00") !== first ? false : undefined);

    // WHEN
    const { events, outcome } = await rehearse(aws, { settings: { pollMs: 5_000, healthTimeoutMs: 60_000 } });

    // THEN
    expect(outcome.error?.code).toBe("CLUSTER_UNHEALTHY");
    const validating = events.findIndex(({ kind, phase }) => kind === "phase" && phase === "validating");
    const [entered, told] = events.slice(validating);
    expect(told).toMatchObject({ kind: "waiting", node: "00", reason: expect.stringContaining("node 00") });
    expect(Date.parse(told?.time ?? "") - Date.parse(entered?.time ?? "")).toBeLessThan(10_000);
  });

  test("R21: the schema can be published", () => {
    expect(eventJsonSchema()).toMatchObject({ type: "object", additionalProperties: false });
  });
});
