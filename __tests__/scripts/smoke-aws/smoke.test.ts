import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { progress } from "../../../scripts/rolling-update/cli/progress";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import {
  type Connection,
  SimulatedAws,
  type SimulationOptions,
} from "../../../scripts/rolling-update/simulator/simulated-aws";
import { type SmokeOptions, smoke } from "../../../scripts/smoke-aws/smoke";

jest.setTimeout(120_000);

const scratch = mkdtempSync(join(tmpdir(), "holdfast-smoke-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** The smoke test on a simulated account. */
async function account(world: SimulationOptions = {}, connection: Connection = {}) {
  const aws = await SimulatedAws.running(world);
  const store = new MemoryStore();
  const cluster = join(scratch, "orders.json");
  const run = async (given: Omit<SmokeOptions, "cluster" | "options">) => {
    writeFileSync(cluster, JSON.stringify(aws.deployment()));
    const process = aws.clock.process();
    const stream = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
    const surroundings = {
      connect: () => ({
        cloud: aws.connect(process, connection),
        store: store.connect(process),
        channel: { run: () => Promise.reject(new Error("nothing runs on a node")) },
      }),
      refreshes: () => {
        throw new Error("there is no pool");
      },
      clock: process,
      stdout: stream,
      stderr: stream,
      telling: progress,
      probe: aws.guests.probe(process, () => 0),
    };
    const report = await aws.clock.run(smoke(surroundings, { cluster, options: ["--poll", "1s"], ...given }));
    if (report === "still running") throw new Error("the smoke test did not end");
    return report;
  };
  return { aws, store, run };
}

describe("the smoke test", () => {
  test("R25: plans, and changes nothing in the account", async () => {
    const { aws, store, run } = await account();
    aws.release();

    const report = await run({});

    expect(report).toMatchObject({ passed: true, plan: { exitCode: 2, said: { cluster: "orders" } } });
    expect(report.roll).toBeUndefined();
    expect(aws.mutations).toEqual([]);
    expect((await store.list("")).size).toBe(0);
  });

  test("R25: replaces the one node that is named, and tells how AWS behaved meanwhile", async () => {
    const { aws, run } = await account({ autoScaling: { noticeMs: 7_000 } }, { staleMs: () => 4_000 });

    const report = await run({ replace: "01" });

    expect(report).toMatchObject({
      passed: true,
      plan: { exitCode: 0 },
      roll: { exitCode: 0, said: { outcome: { status: "done", replaced: ["01"] } } },
    });
    expect(aws.mutations.filter(({ method }) => method === "terminate")).toHaveLength(1);
    const { shownAfterTerminateMs, shownAfterResumeMs, launchedAfterResumeMs, transientErrors } = report.observations;
    // To the next look, and one look is a jittered second.
    expect(Math.abs((shownAfterTerminateMs[0] ?? 0) - 4_000)).toBeLessThanOrEqual(1_200);
    expect(Math.abs((shownAfterResumeMs[0] ?? 0) - 11_000)).toBeLessThanOrEqual(1_200);
    expect(launchedAfterResumeMs).toEqual([7_000]);
    expect(transientErrors).toEqual({});
  });

  test("R25: tells of launches into a used interface, and does not pass where the cluster is refused", async () => {
    const { aws, run } = await account();
    aws.autoScaling.terminate(aws.group("orders-node-00").instances[0]?.id ?? "", false);
    await aws.pass(10 * 60_000);

    const seen = await run({});
    expect(seen.launchesIntoUsedInterface[0]).toMatchObject({
      group: "orders-node-00",
      message: "Interface: [eni-00] in use. Launching EC2 instance failed.",
    });

    aws.autoScaling.suspend("orders-node-01", "Launch");
    const refused = await run({ replace: "01" });
    expect(refused).toMatchObject({ passed: false, plan: { exitCode: 6 } });
    expect(refused.roll).toBeUndefined();
    expect(aws.mutations).toEqual([]);
  });
});
