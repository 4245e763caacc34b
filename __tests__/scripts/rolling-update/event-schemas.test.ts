import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromJSONSchema } from "zod";
import { progress } from "../../../scripts/rolling-update/cli/progress";
import { rollCommand } from "../../../scripts/rolling-update/cli/roll-command";
import { eventJsonSchema } from "../../../scripts/rolling-update/events";
import { fleetEventJsonSchema } from "../../../scripts/rolling-update/fleet/fleet-events";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { VirtualClock } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { seededRandom } from "../../../scripts/seeded-random";
import { rehearse } from "../../support/rolling";
import { SimulatedRefreshes } from "../../support/simulated-refreshes";

const published = (name: string) =>
  JSON.parse(readFileSync(join(__dirname, "../../../docs/schema", `${name}.json`), "utf8"));

/** Problems of a line as printed, by the published schema alone. */
function problems(name: string, event: unknown): readonly unknown[] {
  return fromJSONSchema(published(name)).safeParse(JSON.parse(JSON.stringify(event))).error?.issues ?? [];
}

describe("the published schemas of events", () => {
  test("R21: both are what the code has; `npm run schema` writes them", () => {
    expect(published("roll-event")).toEqual(eventJsonSchema());
    expect(published("fleet-event")).toEqual(fleetEventJsonSchema());
  });

  test.each([
    ["that ends well", {}, "done"],
    ["that fails", { boot: "fails" as const }, "HOOK_ABANDONED"],
  ])("R21: every event of a roll %s keeps to it", async (_, program, end) => {
    const aws = await SimulatedAws.running();
    aws.release(program);

    const { events } = await rehearse(aws, { settings: { bakeMs: 60_000 } });

    expect(events.at(-1)?.reason).toContain(end);
    expect(new Set(events.map(({ kind }) => kind))).toEqual(
      new Set(["started", "phase", "action", "waiting", "finished"]),
    );
    expect(events.flatMap((event) => problems("roll-event", event))).toEqual([]);
  });

  test("R21: every event of a pool's refresh keeps to it", async () => {
    const clock = new VirtualClock(seededRandom(1));
    const process = clock.process();
    const refreshes = new SimulatedRefreshes(process);
    refreshes.begin();
    const out: string[] = [];
    const sink = { isTTY: false, write: (text: string) => out.push(text) } as unknown as NodeJS.WriteStream;
    const connect = () => {
      throw new Error("no cluster is reached in these tests");
    };
    const command = rollCommand(
      { connect, refreshes: () => refreshes, clock: process, stdout: sink, stderr: sink, telling: progress },
      () => {},
    );

    await clock.run(
      command.parseAsync(["fleet", "follow", "--group", "orders-workers", "--region", "eu-west-1", "--json"], {
        from: "user",
      }),
    );

    const events = out
      .join("")
      .trim()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(events.at(-1)).toMatchObject({ kind: "finished", status: "Successful" });
    expect(events.flatMap((event) => problems("fleet-event", event))).toEqual([]);
  });

  test.each([
    ["an unknown key", { extra: 1 }],
    ["a kind that is not there", { kind: "telling" }],
    ["a time that is none", { time: "yesterday" }],
    ["a duration in words", { elapsedMs: "20 s" }],
  ])("R21: the schema refuses %s", (_, change) => {
    const event = { time: "2026-01-02T03:04:05.678Z", cluster: "orders", roll: "r", kind: "started", elapsedMs: 0 };

    expect(problems("roll-event", event)).toEqual([]);
    expect(problems("roll-event", { ...event, ...change })).not.toEqual([]);
  });
});
