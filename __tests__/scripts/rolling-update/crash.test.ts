import { MUTATIONS } from "../../../scripts/rolling-update/cloud";
import type { MemoryStore as Store } from "../../../scripts/rolling-update/simulator/memory-store";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import type { Process } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { behind, rehearse, startRoll, stranded } from "../../support/rolling";

const settings = { pollMs: 20_000, successes: 1 };

async function cluster(): Promise<SimulatedAws> {
  const aws = await SimulatedAws.running({ nodes: 5, ec2: { shutdownMs: () => 10_000 }, bootMs: () => 10_000 });
  aws.release();
  return aws;
}

/** Kills the roller before or after its nth call, of AWS or of the store; 0 for never. Tells how many calls it made. */
function rollUntil(aws: SimulatedAws, store: Store, nth: number, when: "before" | "after") {
  let calls = 0;
  const process: Process = aws.clock.process();
  const around = async (_method: string, call: () => Promise<unknown>) => {
    const isFatal = ++calls === nth;
    if (isFatal && when === "before") {
      process.kill();
      return new Promise(() => {});
    }
    const answer = await call();
    if (isFatal) process.kill();
    return answer;
  };
  const { done } = startRoll(aws, { store, process, settings, connection: { around }, aroundStore: around });
  return { done, process, calls: () => calls };
}

describe("a roller that dies", () => {
  test("R7: finds in the journal what it had begun: each change of a node is written down before it is made", async () => {
    const aws = await cluster();
    const store = new MemoryStore();
    const changes: unknown[] = [];
    const note = async (change: string) => {
      const texts = await store.list("journal/nodes/00");
      const { state, held, drained } = JSON.parse([...texts.values()][0] ?? "{}");
      changes.push({ change, state, held, drained });
    };
    const around = async (method: string, call: () => Promise<unknown>) => {
      if (MUTATIONS.some((mutation) => mutation === method)) await note(method);
      return call();
    };

    await rehearse(aws, {
      store,
      only: ["00"],
      settings: { ...settings, force: ["00"] },
      connection: { around },
      drain: { drain: () => note("drain"), undrain: async () => {} },
    });

    expect(changes).toEqual([
      { change: "drain", state: "draining", held: false, drained: true },
      { change: "suspendLaunch", state: "holding", held: true, drained: true },
      { change: "terminate", state: "holding", held: true, drained: true },
      { change: "resumeLaunch", state: "terminating", held: true, drained: true },
    ]);
  });

  test.each(["before", "after"] as const)(
    "R7: %s any of its calls leaves a roll that resumes, no node replaced twice",
    async (when) => {
      const dry = await cluster();
      const whole = rollUntil(dry, new MemoryStore(), 0, when);
      await dry.clock.run(whole.done);
      const calls = whole.calls();
      expect(calls).toBeGreaterThan(200);

      const bad: unknown[] = [];
      for (let nth = 1; nth <= calls; nth++) {
        const aws = await cluster();
        const monitor = new Monitor(aws);
        const store = new MemoryStore();
        const first = rollUntil(aws, store, nth, when);
        await aws.clock.run(first.done, 4 * 3_600_000);
        await aws.pass(1_000);
        const second = startRoll(aws, { store, settings });
        const result = await aws.clock.run(second.done);
        const ended = result === "still running" ? result : (result.outcome.error?.code ?? result.outcome.status);
        const nodes = monitor.terminatedNodes;
        const isRight =
          ended === "done" &&
          nodes.length === 5 &&
          new Set(nodes).size === 5 &&
          behind(aws).length === 0 &&
          stranded(aws).length === 0 &&
          monitor.violations.length === 0;
        if (!isRight) bad.push({ nth, ended, nodes, behind: behind(aws), stranded: stranded(aws) });
      }
      expect(bad).toEqual([]);
    },
    300_000,
  );
});
