import { CloudError } from "../../../scripts/rolling-update/cloud";
import { command } from "../../../scripts/rolling-update/control";
import { lockOwner } from "../../../scripts/rolling-update/lock";
import { REPLACEMENT_STATES } from "../../../scripts/rolling-update/replacement";
import type { StopRequest } from "../../../scripts/rolling-update/roll-ports";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { behind, type Rehearsal, rehearse, startRoll, stranded } from "../../support/rolling";

const MINUTE = 60_000;
const slowDrain = { drain: () => new Promise<void>(() => {}), undrain: async () => {} };

async function released(): Promise<SimulatedAws> {
  const aws = await SimulatedAws.running({ ec2: { shutdownMs: () => 60_000 } });
  aws.release();
  return aws;
}

/** The rehearsal of a world that was changed first. */
const having = (_change: unknown, rehearsal: Rehearsal): Rehearsal => rehearsal;

/** The rehearsal with what an operator asks for while the first node is in this state. */
function stoppedAt(state: string, level: StopRequest["level"], rehearsal: Rehearsal = {}): Rehearsal {
  const stop: StopRequest = { level: "go on" };
  return { ...rehearsal, stop, aroundStore: raiseAt(state, stop, level) };
}

/** Every way out of a roll: how it ends, and what is done to it for that. */
const EXITS: readonly (readonly [string, string, (aws: SimulatedAws, store: MemoryStore) => Rehearsal])[] = [
  ["success", "done", () => ({})],
  ["success, scaled to zero", "done", () => ({ settings: { strategy: "scale-zero" } })],
  ["success, by the group", "done", () => ({ settings: { strategy: "group-replaces" } })],
  ["drain fails", "DRAIN_FAILED", () => ({ drain: { ...slowDrain, drain: () => Promise.reject(new Error("no")) } })],
  ["drain hangs", "DRAIN_FAILED", () => ({ drain: slowDrain })],
  [
    "gate closed",
    "GATE_CLOSED",
    () => ({
      settings: { gateTimeoutMs: MINUTE },
      probe: (truth) => ({ ...truth, leader: truth.leader, canRoll: async () => ({ ok: false, reason: "no" }) }),
    }),
  ],
  [
    "gate closed after a node",
    "GATE_CLOSED",
    (aws) => having(sickenAfterFirst(aws), { settings: { healthTimeoutMs: 5 * MINUTE } }),
  ],
  ["instance does not go", "TERMINATE_TIMEOUT", () => ({ settings: { terminateTimeoutMs: 20_000 } })],
  [
    "instance does not go, scaled to zero",
    "TERMINATE_TIMEOUT",
    () => ({ settings: { terminateTimeoutMs: 20_000, strategy: "scale-zero" } }),
  ],
  ["replacement does not come", "LAUNCH_TIMEOUT", () => ({ settings: { launchTimeoutMs: 20_000 } })],
  [
    "cluster stays sick",
    "CLUSTER_UNHEALTHY",
    (aws) => having(aws.release({ boot: "sick" }), { settings: { healthTimeoutMs: MINUTE } }),
  ],
  ["hook abandoned", "HOOK_ABANDONED", (aws) => having(aws.release({ boot: "fails" }), {})],
  [
    "rolled back",
    "rolled back",
    (aws) => having(aws.release({ boot: "fails" }), { settings: { onFailure: "rollback" } }),
  ],
  [
    "not rolled back, being irreversible",
    "IRREVERSIBLE",
    (aws) => having(aws.release({ boot: "fails" }), { settings: { onFailure: "rollback", irreversible: true } }),
  ],
  ["alarm", "ALARM", (aws) => having(aws.firing.add("a"), { settings: { alarms: ["a"] } })],
  [
    "replacement is lost",
    "INSTANCE_LOST",
    (aws) => having(killReplacement(aws), { settings: { bakeMs: 10 * MINUTE } }),
  ],
  ["no capacity", "INSUFFICIENT_CAPACITY", (aws) => having(exhaust(aws), {})],
  [
    "no capacity, scaled to zero",
    "INSUFFICIENT_CAPACITY",
    (aws) => having(exhaust(aws), { settings: { strategy: "scale-zero" } }),
  ],
  [
    "template moves",
    "TARGET_MOVED",
    (aws) =>
      having(
        aws.clock.after(30_000, () => aws.release({}, ["00"])),
        {},
      ),
  ],
  ["zone impaired", "ZONE_IMPAIRED", (aws) => having(impairAll(aws), {})],
  ["wrong account", "WRONG_ACCOUNT", (aws) => ({ manifest: { ...aws.manifest, accountId: "999999999999" } })],
  ["refused by preflight", "PREFLIGHT_REFUSED", () => ({ settings: { totalTimeoutMs: 1 } })],
  ...(["describeGroups", "describeInstances", "describeVolumes", "suspendLaunch", "terminate"] as const).flatMap(
    (method) =>
      (
        [
          ["AccessDenied", "CLOUD_DENIED"],
          ["ValidationError", "CLOUD_FAILED"],
        ] as const
      ).map(([code, ends]): (typeof EXITS)[number] => [
        `${code} at ${method}`,
        ends,
        (aws) => ({
          connection: {
            fault: (called) =>
              called === method && aws.clock.now() > 3_700_000 ? new CloudError(method, code, "no") : undefined,
          },
        }),
      ]),
  ),
  [
    "probe throws",
    "INTERNAL",
    () => ({ probe: (truth) => ({ ...truth, leader: () => Promise.reject(new TypeError("bug")) }) }),
  ],
  ["interrupted", "paused", () => stoppedAt("terminating", "after this node")],
  ["interrupted twice", "paused", () => stoppedAt("terminating", "now")],
  [
    "interrupted twice, scaled to zero",
    "paused",
    () => stoppedAt("terminating", "now", { settings: { strategy: "scale-zero" } }),
  ],
  ["paused from elsewhere", "paused", (aws, store) => having(ask(aws, store, "pause"), {})],
  ["aborted from elsewhere", "aborted", (aws, store) => having(ask(aws, store, "abort"), {})],
  [
    "handed over",
    "handed over",
    (aws) => having(undefined, { runsOn: aws.group("orders-node-01").instances[0]?.id ?? "" }),
  ],
];

function ask(aws: SimulatedAws, store: MemoryStore, what: "pause" | "abort"): void {
  aws.clock.after(MINUTE, () => void command(store, what));
}

/** Another node stops serving for good when the first replaced one serves. */
function sickenAfterFirst({ guests }: SimulatedAws): void {
  const { onChange } = guests;
  guests.onChange = (nodeId, serving) => {
    onChange(nodeId, serving);
    if (nodeId === "00" && serving) guests.degrade("02", 48 * 60 * MINUTE);
  };
}

/** The first replacement dies while it bakes. */
function killReplacement({ guests, clock }: SimulatedAws): void {
  const { onChange } = guests;
  guests.onChange = (nodeId, serving) => {
    onChange(nodeId, serving);
    if (nodeId !== "00" || !serving) return;
    guests.onChange = onChange;
    clock.after(3 * MINUTE, () => guests.kill("00"));
  };
}

function exhaust(aws: SimulatedAws): void {
  aws.ec2.launchFault = () => "We currently do not have sufficient capacity";
}

function impairAll(aws: SimulatedAws): void {
  for (const { zone } of aws.manifest.nodes) aws.ec2.impaired.add(zone);
}

describe("however a roll ends", () => {
  test("R6: there are thirty ways at least", () => {
    expect(EXITS.length).toBeGreaterThanOrEqual(30);
  });

  test.each(EXITS)("R6: %s leaves sizes and launches as they were, and no lock", async (_name, ends, arrange) => {
    const aws = await released();
    aws.autoScaling.suspend("orders-node-01", "AZRebalance");
    const store = new MemoryStore();

    const { outcome } = await rehearse(aws, { store, ...arrange(aws, store) });

    expect(outcome.status === "failed" ? outcome.error?.code : outcome.status).toBe(ends);
    expect(stranded(aws)).toEqual(["orders-node-01: AZRebalance suspended"]);
    await expect(lockOwner(store)).resolves.toBeUndefined();
  });

  test("R6: a roller killed while it held a group at zero is resumed by one of another strategy", async () => {
    const aws = await released();
    const store = new MemoryStore();
    const process = aws.clock.process();
    const around = async (method: string, call: () => Promise<unknown>) => {
      const answer = await call();
      if (method === "terminate") process.kill();
      return answer;
    };
    const killed = startRoll(aws, { store, process, settings: { strategy: "scale-zero" }, connection: { around } });
    await aws.clock.run(killed.done, 10 * MINUTE);
    expect(stranded(aws)).toEqual(["orders-node-00: 0/0/1"]);

    const { outcome } = await rehearse(aws, { store, resume: true, settings: { strategy: "suspend-launch" } });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
    expect(stranded(aws)).toEqual([]);
  });

  test("R6: a launch somebody else suspended is not resumed, the cluster not rolled", async () => {
    const aws = await released();
    aws.autoScaling.suspend("orders-node-01", "Launch");
    const monitor = new Monitor(aws);

    const { outcome } = await rehearse(aws);

    expect(outcome.error).toMatchObject({
      code: "PREFLIGHT_REFUSED",
      message: expect.stringContaining("foreign-suspension"),
    });
    expect(monitor.terminated).toEqual([]);
    expect(stranded(aws)).toEqual(["orders-node-01: Launch suspended"]);
  });

  test("R6: a launch that somebody suspends during the roll keeps its node, and is not resumed", async () => {
    const aws = await released();
    const monitor = new Monitor(aws);
    aws.clock.after(MINUTE, () => aws.autoScaling.suspend("orders-node-02", "Launch"));

    const { outcome } = await rehearse(aws, { settings: { gateTimeoutMs: 5 * MINUTE } });

    expect(outcome.error).toMatchObject({
      code: "GATE_CLOSED",
      node: "02",
      reason: "node 02: somebody suspended Launch of the group; resume it, or find out why",
    });
    expect(monitor.terminatedNodes).toEqual(["00", "01"]);
    expect(stranded(aws)).toEqual(["orders-node-02: Launch suspended"]);
  });

  test.each([
    ["done", {}],
    ["LAUNCH_TIMEOUT", { launchTimeoutMs: 20_000 }],
  ])("R6: a launch that somebody suspends once the roll let it go stays so: %s", async (ends, settings) => {
    const aws = await released();
    const around = async (method: string, call: () => Promise<unknown>) => {
      const answer = await call();
      if (method === "resumeLaunch") aws.clock.after(15_000, () => aws.autoScaling.suspend("orders-node-00", "Launch"));
      return answer;
    };

    const { outcome } = await rehearse(aws, { only: ["00"], settings, connection: { around } });

    expect(outcome.error?.code ?? outcome.status).toBe(ends);
    expect(stranded(aws)).toEqual(["orders-node-00: Launch suspended"]);
  });

  test.each(REPLACEMENT_STATES.filter((state) => state !== "failed"))(
    "R19: interrupted once while a node is %s, it is finished, and the rest follows on resume",
    async (state) => {
      const aws = await released();
      const store = new MemoryStore();
      const monitor = new Monitor(aws);
      const stop: StopRequest = { level: "go on" };
      const rehearsal: Rehearsal = {
        store,
        settings: { bakeMs: MINUTE },
        drain: { drain: async () => {}, undrain: async () => {} },
      };

      const first = await rehearse(aws, { ...rehearsal, stop, aroundStore: raiseAt(state, stop, "after this node") });
      expect(first.outcome).toMatchObject({ status: "paused", replaced: ["00"] });
      expect(monitor.terminatedNodes).toEqual(["00"]);

      const second = await rehearse(aws, { ...rehearsal, resume: true });
      expect(second.outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
      expect(behind(aws)).toEqual([]);
    },
  );

  test.each(["draining", "holding", "terminating", "launching", "validating", "baking"])(
    "R19: interrupted twice while a node is %s, the roll stops at once and resumes",
    async (state) => {
      const aws = await released();
      const store = new MemoryStore();
      const monitor = new Monitor(aws);
      const stop: StopRequest = { level: "go on" };
      const rehearsal: Rehearsal = {
        store,
        settings: { bakeMs: MINUTE },
        drain: { drain: async () => {}, undrain: async () => {} },
      };

      const first = await rehearse(aws, { ...rehearsal, stop, aroundStore: raiseAt(state, stop, "now") });
      expect(first.outcome).toMatchObject({ status: "paused", replaced: [] });
      expect(stranded(aws)).toEqual([]);
      await expect(lockOwner(store)).resolves.toBeUndefined();

      const second = await rehearse(aws, { ...rehearsal, resume: true });
      expect(second.outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
      expect(monitor.terminatedNodes).toEqual(["00", "01", "02"]);
      expect(monitor.violations).toEqual([]);
    },
  );

  test("R19: a pause asked for from elsewhere stops after the current node", async () => {
    const aws = await released();
    const store = new MemoryStore();
    aws.clock.after(MINUTE, () => void command(store, "pause"));

    const { outcome } = await rehearse(aws, { store });

    expect(outcome).toMatchObject({ status: "paused", replaced: ["00"] });
  });

  test("R19: the time limit of a roll counts the run, not the pause before it", async () => {
    const aws = await released();
    const store = new MemoryStore();
    await rehearse(aws, { store, stop: { level: "after this node" } });
    await aws.pass(48 * 60 * MINUTE);

    const { outcome } = await rehearse(aws, { store, resume: true });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
  });

  test("R19: resuming where nothing was begun says so", async () => {
    const aws = await released();

    const { outcome } = await rehearse(aws, { resume: true });

    expect(outcome.error?.code).toBe("NOTHING_TO_RESUME");
    expect(aws.mutations).toEqual([]);
  });
});

/** Raises the stop request when the journal first shows the state. */
function raiseAt(state: string, stop: StopRequest, level: StopRequest["level"]): NonNullable<Rehearsal["aroundStore"]> {
  return async (_method, call, args) => {
    const answer = await call();
    if (typeof args[1] === "string" && args[1].includes(`"state":"${state}"`)) stop.level = level;
    return answer;
  };
}
