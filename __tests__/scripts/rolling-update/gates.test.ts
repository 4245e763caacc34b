import { EXIT, exitCodeOf } from "../../../scripts/rolling-update/cli/exit-codes";
import type { Group } from "../../../scripts/rolling-update/cloud";
import { HEALTHY, unhealthy } from "../../../scripts/rolling-update/probe";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { behind, rehearse, startRoll, stranded } from "../../support/rolling";

const MINUTE = 60_000;

async function released(nodes = 3, stale?: readonly string[]): Promise<{ aws: SimulatedAws; monitor: Monitor }> {
  const aws = await SimulatedAws.running({ nodes });
  aws.release({}, stale);
  return { aws, monitor: new Monitor(aws) };
}

describe("the gate before a node goes", () => {
  test("R9: stays closed while an unrelated node is down, and opens when it is back", async () => {
    const { aws, monitor } = await released(3, ["00", "01"]);
    let healed = Number.POSITIVE_INFINITY;
    const { done } = startRoll(aws);
    aws.clock.after(60_000, () => {
      aws.guests.degrade("02", 10 * MINUTE);
      healed = aws.clock.now() + 10 * MINUTE;
    });

    await aws.clock.run(done);

    expect(monitor.violations).toEqual([]);
    expect(monitor.terminated.slice(1).every(({ atMs }) => atMs > healed)).toBe(true);
    expect(behind(aws)).toEqual([]);
  });

  test("R9: closed to the deadline, nothing more is terminated and the error says who is down", async () => {
    const { aws, monitor } = await released(3, ["00", "01"]);
    aws.guests.degrade("02", 48 * 60 * MINUTE);

    const { outcome } = await rehearse(aws, { settings: { gateTimeoutMs: 5 * MINUTE } });

    expect(outcome).toMatchObject({
      status: "failed",
      error: { code: "GATE_CLOSED", reason: "node 02: does not answer" },
    });
    expect(monitor.terminated).toEqual([]);
  });

  test.each([1, 2, 3, 4])(
    "R9: an unrelated node that goes down for good right after the replacement of %i keeps all others",
    async (k) => {
      const { aws, monitor } = await released(5);
      const hit = degradeAfter(k, aws, monitor, 48 * 60 * MINUTE);

      const { outcome } = await rehearse(aws, { settings: { healthTimeoutMs: 5 * MINUTE } });

      expect(outcome).toMatchObject({
        status: "failed",
        error: { code: "GATE_CLOSED", reason: expect.stringMatching(`^node ${hit().victim}: .*$`) },
      });
      expect(exitCodeOf(outcome)).toBe(EXIT.gateClosed);
      expect(outcome.replaced).toEqual([...monitor.terminatedNodes].sort());
      expect(monitor.terminated).toHaveLength(k);
      expect(stranded(aws)).toEqual([]);
    },
  );

  test.each([1, 2, 3, 4])(
    "R9: an unrelated node that is down for ten minutes after the replacement of %i is waited for",
    async (k) => {
      const { aws, monitor } = await released(5);
      const hit = degradeAfter(k, aws, monitor, 10 * MINUTE);

      const { outcome } = await rehearse(aws);

      expect(outcome.status).toBe("done");
      expect(monitor.terminated[k]?.atMs).toBeGreaterThan(hit().atMs + 10 * MINUTE);
      expect(monitor.violations).toEqual([]);
    },
  );

  test("R9: what is repaired after that is rolled to the end by a resume", async () => {
    const { aws, monitor } = await released(5);
    degradeAfter(2, aws, monitor, 20 * MINUTE);
    const store = new MemoryStore();
    const first = await rehearse(aws, { store, settings: { healthTimeoutMs: 5 * MINUTE } });
    expect(first.outcome.error?.code).toBe("GATE_CLOSED");
    await aws.pass(20 * MINUTE);

    const { outcome } = await rehearse(aws, { store, resume: true });

    expect(outcome.status).toBe("done");
    expect([...monitor.terminatedNodes].sort()).toEqual(["00", "01", "02", "03", "04"]);
    expect(behind(aws)).toEqual([]);
  });

  test("R9: a replaced node that does not serve is a failed node, not a closed gate", async () => {
    const aws = await SimulatedAws.running();
    aws.release({ boot: "sick" });

    const { outcome } = await rehearse(aws);

    expect(outcome.error).toMatchObject({ code: "CLUSTER_UNHEALTHY", node: "00", reason: "node 00: does not answer" });
    expect(exitCodeOf(outcome)).toBe(EXIT.nodeFailed);
  });

  test("R9: of a replaced node and another that are down, the replaced one is told of", async () => {
    const { aws, monitor } = await released();
    const hit = degradeAfter(1, aws, monitor, 48 * 60 * MINUTE, { withItself: true });

    const { outcome } = await rehearse(aws, { settings: { healthTimeoutMs: 5 * MINUTE } });

    expect(hit().victim).not.toBe("00");
    expect(outcome.error).toMatchObject({ code: "CLUSTER_UNHEALTHY", reason: "node 00: does not answer" });
  });

  test("R9: stays closed while a group holds its node unhealthy, though the application answers", async () => {
    const { aws, monitor } = await released(3, ["00", "01"]);
    const around = async (method: string, call: () => Promise<unknown>) => {
      const answer = await call();
      if (method !== "describeGroups") return answer;
      return (answer as readonly Group[]).map((group) =>
        group.name === "orders-node-02"
          ? { ...group, instances: group.instances.map((instance) => ({ ...instance, healthy: false })) }
          : group,
      );
    };

    const { outcome } = await rehearse(aws, { settings: { gateTimeoutMs: 5 * MINUTE }, connection: { around } });

    expect(outcome.error).toMatchObject({
      code: "GATE_CLOSED",
      reason: expect.stringMatching(/^node 02: instance i-\w+ is unhealthy$/),
    });
    expect(monitor.terminated).toEqual([]);
  });

  test("R9: with two nodes down neither is touched", async () => {
    const { aws, monitor } = await released(5);
    aws.guests.degrade("01", 48 * 60 * MINUTE);
    aws.guests.degrade("02", 48 * 60 * MINUTE);

    const { outcome } = await rehearse(aws, { settings: { gateTimeoutMs: 5 * MINUTE } });

    expect(outcome.error).toMatchObject({ code: "GATE_CLOSED", reason: "node 02: does not answer" });
    expect(monitor.terminated).toEqual([]);
  });

  test("R10: the series F T F T T T opens the gate at its sixth check", async () => {
    const { aws, monitor } = await released(3, ["00", "01"]);
    const series = [false, true, false, true, true, true];
    const checks: number[] = [];

    const { done } = startRoll(aws, {
      probe: (truth) => ({
        ...truth,
        health: async (nodes) => {
          checks.push(aws.clock.now());
          const isWell = series[checks.length - 1] ?? true;
          return new Map(nodes.map(({ id }) => [id, isWell || id !== "02" ? HEALTHY : unhealthy("flaps")]));
        },
      }),
    });
    await aws.clock.run(done);

    expect(monitor.terminated[0]?.atMs).toBe(checks[5]);
  });

  test("R10: after a node came the same series lets the next one go at its sixth check", async () => {
    const { aws, monitor } = await released(3, ["00", "01"]);
    const series = [false, true, false, true, true, true];
    const checks: number[] = [];

    const { done } = startRoll(aws, {
      probe: (truth) => ({
        ...truth,
        health: async (nodes) => {
          const isAfterFirst =
            monitor.terminated.length === 1 && aws.group("orders-node-00").instances[0]?.lifecycle === "InService";
          if (isAfterFirst) checks.push(aws.clock.now());
          const isWell = !isAfterFirst || (series[checks.length - 1] ?? true);
          const answers = await truth.health(nodes);
          return isWell ? answers : new Map([...answers, ["02", unhealthy("flaps")]]);
        },
      }),
    });
    await aws.clock.run(done);

    expect(monitor.terminatedNodes).toEqual(["00", "01"]);
    expect(monitor.terminated[1]?.atMs).toBe(checks[5]);
  });

  test("R10: an alarm while the replacement bakes stops the roll", async () => {
    const { aws, monitor } = await released();
    aws.clock.after(5 * MINUTE, () => aws.firing.add("orders-errors"));

    const { outcome } = await rehearse(aws, {
      settings: { bakeMs: 10 * MINUTE, alarms: ["orders-errors", "orders-lag"] },
    });

    expect(outcome.error).toMatchObject({ code: "ALARM", node: "00" });
    expect(outcome.error?.message).toContain("orders-errors");
    expect(monitor.terminated).toHaveLength(1);
    expect(stranded(aws)).toEqual([]);
  });

  test("R11: a cluster that does not let a node go is asked again, less often, until the deadline", async () => {
    const { aws, monitor } = await released();
    const asked: number[] = [];

    const { outcome } = await rehearse(aws, {
      settings: { gateTimeoutMs: 10 * MINUTE },
      probe: (truth) => ({
        ...truth,
        canRoll: async () => {
          asked.push(aws.clock.now());
          return unhealthy("under-replicated partitions: 3");
        },
      }),
    });

    expect(outcome.error).toMatchObject({
      code: "GATE_CLOSED",
      reason: expect.stringContaining("under-replicated partitions: 3"),
    });
    expect(monitor.terminated).toEqual([]);
    const gaps = asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
    expect(gaps.at(-1)).toBeGreaterThan(2 * (gaps[0] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
  });

  test("R21: a gate that stays closed is never silent for half a minute", async () => {
    const { aws } = await released();

    const { events } = await rehearse(aws, {
      settings: { gateTimeoutMs: 60 * MINUTE },
      probe: (truth) => ({ ...truth, canRoll: async () => unhealthy("under-replicated partitions: 3") }),
    });

    const times = events.map(({ time }) => Date.parse(time));
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(60 * MINUTE);
    expect(Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? 0)))).toBeLessThanOrEqual(30_000);
  });

  test("R12: a leader that moves at every step is rolled last, each node once", async () => {
    const { aws, monitor } = await released(5);
    aws.guests.lead("00");
    const onChange = aws.guests.onChange;
    aws.guests.onChange = (nodeId, serving) => {
      onChange(nodeId, serving);
      const left = aws.manifest.nodes.map(({ id }) => id).filter((id) => !monitor.terminatedNodes.includes(id));
      if (left[0] !== undefined && left[0] !== nodeId) aws.guests.lead(left[0]);
    };
    let leader: string | undefined;
    aws.guests.onLeader = (nodeId) => {
      leader = nodeId;
    };
    aws.onRemoval = ((note) => (instanceId: string) => {
      const node = aws.nodeOf(instanceId);
      const left = aws.manifest.nodes.length - monitor.terminated.length;
      expect(node === leader).toBe(left === 1);
      note(instanceId);
    })(aws.onRemoval);
    aws.guests.lead("00");

    const { outcome } = await rehearse(aws);

    expect(outcome.status).toBe("done");
    expect([...monitor.terminatedNodes].sort()).toEqual(["00", "01", "02", "03", "04"]);
  });

  test("R12: a node that is down goes first", async () => {
    const { aws, monitor } = await released();
    aws.guests.degrade("02", 48 * 60 * MINUTE);

    const { outcome } = await rehearse(aws, { probe: (truth) => ({ ...truth, canRoll: async () => HEALTHY }) });

    expect(outcome.status).toBe("done");
    expect(monitor.terminatedNodes).toEqual(["02", "00", "01"]);
  });

  test("R13: a failing release touches one node", async () => {
    const aws = await SimulatedAws.running({ nodes: 5 });
    aws.release({ boot: "fails" });
    const monitor = new Monitor(aws);
    const before = aws.manifest.nodes.map(({ group }) => aws.group(group).instances[0]?.id);

    const { outcome } = await rehearse(aws);

    expect(outcome).toMatchObject({ status: "failed", error: { code: "HOOK_ABANDONED", node: "00" } });
    expect(monitor.terminatedNodes).toEqual(["00"]);
    expect(aws.manifest.nodes.slice(1).map(({ group }) => aws.group(group).instances[0]?.id)).toEqual(before.slice(1));
  });

  test("R13: with confirmation asked for, the roll pauses after its first node and goes on when told", async () => {
    const { aws, monitor } = await released();
    const store = new MemoryStore();
    const settings = { confirmAfterFirst: true, canaryBakeMs: 5 * MINUTE };

    const first = await rehearse(aws, { store, settings });
    expect(first.outcome).toMatchObject({ status: "paused", replaced: ["00"] });
    expect(monitor.terminatedNodes).toEqual(["00"]);

    const again = await rehearse(aws, { store, settings, resume: true });
    expect(again.outcome.status).toBe("paused");
    const second = await rehearse(aws, { store, settings, resume: true, confirmed: true });
    expect(second.outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
  });

  test.each([
    ["fails", async () => Promise.reject(new Error("exit status 3")), "exit status 3"],
    ["hangs", () => new Promise<void>(() => {}), "no end after 120 s"],
  ])("R14: a drain that %s keeps the node, and is undone once", async (_name, drain, reason) => {
    const { aws, monitor } = await released();
    const told: unknown[] = [];
    const undone: unknown[] = [];

    const { outcome } = await rehearse(aws, {
      settings: { drainTimeoutMs: 2 * MINUTE },
      drain: {
        drain: (target) => {
          told.push(target);
          return drain();
        },
        undrain: async (target) => void undone.push(target),
      },
    });

    const instanceId = aws.group("orders-node-00").instances[0]?.id;
    const target = { nodeId: "00", instanceId, ip: "10.0.0.10", group: "orders-node-00" };
    expect(outcome.error).toMatchObject({ code: "DRAIN_FAILED", node: "00", reason });
    expect(told).toEqual([target]);
    expect(undone).toEqual([target]);
    expect(monitor.terminated).toEqual([]);
    expect(stranded(aws)).toEqual([]);
  });

  test("R14: a drained node that was terminated is not called back, though its replacement does not come", async () => {
    const { aws } = await released();
    aws.ec2.launchFault = () => "The AMI ID 'ami-0bad' does not exist.";
    const undone: unknown[] = [];

    const { outcome } = await rehearse(aws, {
      drain: { drain: async () => {}, undrain: async (target) => void undone.push(target) },
    });

    expect(outcome.error).toMatchObject({ code: "IMAGE_UNUSABLE", node: "00" });
    expect(undone).toEqual([]);
  });

  test("R14: forced, the roll goes on after a failed drain; drained, each node goes after its own drain", async () => {
    const { aws } = await released();
    const drained: string[] = [];

    const { outcome } = await rehearse(aws, {
      settings: { forceDrain: true },
      drain: {
        drain: async ({ nodeId }) => {
          drained.push(nodeId);
          throw new Error("exit status 3");
        },
        undrain: async () => {},
      },
    });

    expect(outcome.status).toBe("done");
    expect(drained).toEqual(outcome.replaced);
  });
});

/** Takes another node out of service, for so long, in the moment in which the kth replaced one serves again. */
function degradeAfter(
  k: number,
  aws: SimulatedAws,
  monitor: Monitor,
  forMs: number,
  { withItself = false }: { readonly withItself?: boolean } = {},
) {
  const onChange = aws.guests.onChange;
  let hit: { victim: string; atMs: number } | undefined;
  aws.guests.onChange = (nodeId, serving) => {
    onChange(nodeId, serving);
    const isBack = serving && monitor.terminated.length === k && nodeId === monitor.terminatedNodes[k - 1];
    if (!isBack || hit !== undefined) return;
    const victim = aws.manifest.nodes.map(({ id }) => id).find((id) => id !== nodeId) ?? "";
    hit = { victim, atMs: aws.clock.now() };
    aws.guests.degrade(victim, forMs);
    if (withItself) aws.guests.degrade(nodeId, forMs);
  };
  return () => {
    if (hit === undefined) throw new Error(`node ${k} never came back`);
    return hit;
  };
}
