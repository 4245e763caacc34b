import { stripVTControlCharacters } from "node:util";
import { progress } from "../../../scripts/rolling-update/cli/progress";
import { eventJsonSchema, eventSchema, type RollEvent } from "../../../scripts/rolling-update/events";
import type { Manifest } from "../../../scripts/rolling-update/manifest";
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

describe("the table on a terminal", () => {
  const REASON = "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token was abandoned";

  /** What stands on a terminal of this size after the events, line by line. */
  function shown(
    size: { columns: number; rows: number },
    nodes: readonly string[],
    events: readonly Partial<RollEvent>[],
  ) {
    const written: string[] = [];
    const stream = { isTTY: true, ...size, write: (text: string) => written.push(text) };
    const manifest = { nodes: nodes.map((id) => ({ id })) } as unknown as Manifest;
    const tell = progress(stream as unknown as NodeJS.WriteStream, manifest, false);
    for (const event of events) tell({ time: "", cluster: "orders", roll: "1", kind: "phase", elapsedMs: 0, ...event });
    return written.map((text) => ({
      up: Number(text.match(/(?<=\[)\d+(?=A)/)?.[0] ?? 0),
      lines: stripVTControlCharacters(text).trimEnd().split("\n"),
    }));
  }

  test.each([20, 60, 80, 200])(
    "R21: of %i columns has no line that wraps, so that it is redrawn where it was",
    (columns) => {
      const failed = { node: "00", phase: "failed", instance: "i-0123456789abcdef0", reason: REASON };

      const drawn = shown(
        { columns, rows: 24 },
        ["00", "kafka-broker-in-the-second-zone"],
        [failed, { kind: "finished", reason: `HOOK_ABANDONED: ${REASON}` }],
      );

      for (const { lines } of drawn) for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
      expect(drawn[1]?.up).toBe(drawn[0]?.lines.length);
    },
  );

  test("R21: that has fewer lines than the cluster has nodes shows those that something happens to, and counts the rest", () => {
    const nodes = Array.from({ length: 50 }, (_, index) => `${index}`.padStart(2, "0"));
    const done = nodes.slice(0, 30).map((node) => ({ node, phase: "done" }));

    const drawn = shown({ columns: 80, rows: 24 }, nodes, [...done, { node: "40", phase: "launching" }]);

    for (const { lines, up } of drawn) {
      expect(lines.length).toBeLessThan(24);
      expect(up).toBeLessThan(24);
    }
    const last = drawn.at(-1)?.lines ?? [];
    expect(last.filter((line) => line.startsWith("40"))).toEqual([expect.stringContaining("launching")]);
    const hidden = 50 - last.filter((line) => /^\d\d {6}/.test(line)).length;
    expect(last.at(-1)).toContain(`${hidden} more nodes`);
  });
});
