import { progress } from "../../../scripts/rolling-update/cli/progress";
import { rollCommand } from "../../../scripts/rolling-update/cli/roll-command";
import { fleetEventSchema } from "../../../scripts/rolling-update/fleet/fleet-events";
import { VirtualClock } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { seededRandom } from "../../../scripts/seeded-random";
import { SimulatedRefreshes } from "../../support/simulated-refreshes";

const MINUTE = 60_000;
const unused = () => {
  throw new Error("no cluster is reached in these tests");
};

function pool() {
  const clock = new VirtualClock(seededRandom(1));
  const process = clock.process();
  const refreshes = new SimulatedRefreshes(process);
  /** `holdfast roll fleet …` on the virtual clock. */
  const fleet = async (...args: string[]) => {
    const out: string[] = [];
    const err: string[] = [];
    const sink = (lines: string[]) =>
      ({ isTTY: false, write: (text: string) => lines.push(text) }) as unknown as NodeJS.WriteStream;
    let code: number | undefined;
    const command = rollCommand(
      {
        connect: unused,
        refreshes: () => refreshes,
        clock: process,
        stdout: sink(out),
        stderr: sink(err),
        telling: progress,
      },
      (value) => {
        code = value;
      },
    );
    const target = ["--group", "orders-workers", "--region", "eu-west-1"];
    await clock.run(command.parseAsync(["fleet", ...args, ...target], { from: "user" }));
    const lines = out.join("").trim().split("\n");
    return { code, out: out.join(""), err: err.join(""), lines };
  };
  return { clock, process, refreshes, fleet };
}

const eventsIn = (lines: string[]) => lines.slice(0, -1).map((line) => fleetEventSchema.parse(JSON.parse(line)));

describe("holdfast roll fleet", () => {
  test("R21: a refresh that Terraform started is followed to its end, never silent for half a minute", async () => {
    const { clock, refreshes, fleet } = pool();
    clock.after(20_000, () => refreshes.begin());

    const { code, lines } = await fleet("follow", "--json");

    expect(code).toBe(0);
    const events = eventsIn(lines);
    expect(events[0]).toMatchObject({ kind: "following", percent: 0 });
    expect(events.at(-1)).toMatchObject({ kind: "finished", status: "Successful", percent: 100, remaining: 0 });
    expect(new Set(events.map(({ status }) => status))).toEqual(
      new Set(["Pending", "InProgress", "Baking", "Successful"]),
    );
    const times = events.map(({ time }) => Date.parse(time));
    expect(Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? 0)))).toBeLessThanOrEqual(30_000);
    expect(refreshes.calls).toEqual([]);
  });

  test("a refresh that ended before anyone looked is not taken for one that begins", async () => {
    const { clock, refreshes, fleet } = pool();
    refreshes.begin();
    await clock.run(new Promise(() => {}), 20 * MINUTE);

    const { code, err } = await fleet("follow");

    expect(code).toBe(6);
    expect(err).toContain("NO_REFRESH");
    expect(err).toContain("refresh-1, is Successful");
  });

  test("R10: an alarm fails it: the reason, and what to do", async () => {
    const { clock, refreshes, fleet } = pool();
    refreshes.begin({ alarms: ["orders-errors"] });
    refreshes.alarmAtMs = clock.now() + 4.5 * MINUTE;

    const { code, err } = await fleet("follow");

    expect(code).toBe(1);
    expect(err).toContain("ended as Failed at 40 %");
    expect(err).toContain("orders-errors");
  });

  test("R18: one that goes back by itself ends with 8", async () => {
    const { clock, refreshes, fleet } = pool();
    refreshes.begin({ alarms: ["orders-errors"], autoRollback: true });
    refreshes.alarmAtMs = clock.now() + 4.5 * MINUTE;

    const { code, lines, err } = await fleet("follow");

    expect(code).toBe(8);
    expect(eventsIn(lines).map(({ status }) => status)).toContain("RollbackInProgress");
    expect(err).toContain("alarm orders-errors is in ALARM");
  });

  test("R15: launches that fail are told in AWS's words, though the refresh says only that it is stuck", async () => {
    const { refreshes, fleet } = pool();
    refreshes.begin();
    refreshes.stuckAt = 20;
    refreshes.launchFailures = ["We currently do not have sufficient m7g.large capacity"];

    const { code, err } = await fleet("follow");

    expect(code).toBe(1);
    expect(err).toContain("Could not make progress for 1 hour");
    expect(err).toContain("sufficient m7g.large capacity");
  });

  test("R1: start without --yes starts nothing", async () => {
    const { refreshes, fleet } = pool();

    const { code, out } = await fleet("start", "--min-healthy", "100");

    expect(code).toBe(2);
    expect(out).toContain("minHealthyPercent: 100");
    expect(refreshes.calls).toEqual([]);
  });

  test("start --yes starts one that pauses at its checkpoints, and follows it", async () => {
    const { clock, refreshes, fleet } = pool();
    const before = clock.now();

    const { code, lines } = await fleet(
      "start",
      "--yes",
      "--json",
      "--checkpoints",
      "10",
      "50",
      "--checkpoint-delay",
      "5m",
    );

    expect(code).toBe(0);
    expect(refreshes.calls).toEqual(["start"]);
    expect(clock.now() - before).toBeGreaterThanOrEqual(20 * MINUTE);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      outcome: { status: "done", refresh: { checkpoints: [10, 50] } },
    });
  });

  test.each<[string, string[], RegExp]>([
    ["checkpoints that do not ascend", ["--checkpoints", "50", "10"], /--checkpoints \(50 10\) should ascend/],
    ["a way back to where the group is", ["--auto-rollback", "--alarms", "a"], /without --template-version/],
    [
      "a way back that nothing would take",
      ["--auto-rollback", "--template-version", "2"],
      /--auto-rollback without --alarms/,
    ],
  ])("%s are refused before anything starts", async (_what, options, message) => {
    const { refreshes, fleet } = pool();

    const { code, err } = await fleet("start", "--yes", ...options);

    expect(code).toBe(6);
    expect(err).toMatch(message);
    expect(refreshes.calls).toEqual([]);
  });

  test("starting beside one that is under way is refused in AWS's words", async () => {
    const { refreshes, fleet } = pool();
    refreshes.begin();

    const { code, err } = await fleet("start", "--yes");

    expect(code).toBe(7);
    expect(err).toContain("InstanceRefreshInProgress");
  });

  test.each<[string, number, string]>([
    ["cancel", 3, "Cancelled"],
    ["rollback", 8, "RollbackSuccessful"],
  ])("%s without --yes only says what is under way, with it ends with %i", async (what, code, status) => {
    const { refreshes, fleet } = pool();
    refreshes.begin();

    expect(await fleet(what)).toMatchObject({ code: 2, out: expect.stringContaining("refresh-1: Pending") });
    expect(refreshes.calls).toEqual([]);
    const ended = await fleet(what, "--yes");

    expect(ended.code).toBe(code);
    expect(eventsIn(ended.lines).at(-1)?.status).toBe(status);
    expect(refreshes.calls).toEqual([what]);
  });

  test.each(["cancel", "rollback"])("%s where nothing is under way says so", async (what) => {
    const { fleet } = pool();

    expect(await fleet(what, "--yes")).toMatchObject({ code: 6, err: expect.stringContaining("NO_REFRESH") });
  });

  test("R19: interrupted, it stops watching and leaves the refresh alone", async () => {
    const { clock, refreshes, fleet } = pool();
    refreshes.begin();
    clock.after(3 * MINUTE, () => void process.emit("SIGINT"));

    const { code, err } = await fleet("follow");

    expect(code).toBe(3);
    expect(err).toContain("the refresh goes on");
    expect(refreshes.calls).toEqual([]);
  });

  test("R19: interrupted again, it says when the watch ends, and speaks of no roll", async () => {
    const { clock, refreshes, fleet } = pool();
    refreshes.begin();
    clock.after(3 * MINUTE, () => {
      const now = jest.spyOn(performance, "now");
      for (const ms of [0, 1_000]) {
        now.mockReturnValue(ms);
        process.emit("SIGINT");
      }
      now.mockRestore();
    });

    const { code, err } = await fleet("follow");

    expect(code).toBe(3);
    expect(err).toContain("the watch ends with the next look, within seconds");
    expect(err).not.toContain("roll resume");
    expect(refreshes.calls).toEqual([]);
  });

  test("R19: interrupted before a refresh shows, it waits for none any more", async () => {
    const { clock, fleet } = pool();
    const startedMs = clock.now();
    clock.after(MINUTE, () => void process.emit("SIGINT"));

    const { code, err } = await fleet("follow", "--within", "30m");

    expect(code).toBe(6);
    expect(err).toContain("NO_REFRESH");
    expect(clock.now() - startedMs).toBeLessThan(2 * MINUTE);
  });

  test("one that takes too long ends the watch with 4, and goes on", async () => {
    const { refreshes, fleet } = pool();
    refreshes.begin({ checkpoints: [10] });

    const { code, err } = await fleet("follow", "--timeout", "30m");

    expect(code).toBe(4);
    expect(err).toContain("InProgress at 10 %");
    expect(refreshes.calls).toEqual([]);
  });
});
