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

/** Every way out of a roll: what is done to it, and how it is to end. */
const EXITS: readonly (readonly [string, (aws: SimulatedAws) => Rehearsal])[] = [
  ["success", () => ({})],
  ["success, scaled to zero", () => ({ settings: { strategy: "scale-zero" } })],
  ["success, by the group", () => ({ settings: { strategy: "group-replaces" } })],
  ["drain fails", () => ({ drain: { ...slowDrain, drain: () => Promise.reject(new Error("no")) } })],
  ["drain hangs", () => ({ drain: slowDrain })],
  [
    "gate closed",
    () => ({
      settings: { gateTimeoutMs: MINUTE },
      probe: (truth) => ({ ...truth, leader: truth.leader, canRoll: async () => ({ ok: false, reason: "no" }) }),
    }),
  ],
  ["instance does not go", () => ({ settings: { terminateTimeoutMs: 20_000 } })],
  [
    "instance does not go, scaled to zero",
    () => ({ settings: { terminateTimeoutMs: 20_000, strategy: "scale-zero" } }),
  ],
  ["replacement does not come", () => ({ settings: { launchTimeoutMs: 20_000 } })],
  ["cluster stays sick", (aws) => having(aws.release({ boot: "sick" }), { settings: { healthTimeoutMs: MINUTE } })],
  ["hook abandoned", (aws) => having(aws.release({ boot: "fails" }), {})],
  ["rolled back", (aws) => having(aws.release({ boot: "fails" }), { settings: { onFailure: "rollback" } })],
  ["alarm", (aws) => having(aws.firing.add("a"), { settings: { alarms: ["a"] } })],
  ["no capacity", (aws) => having(exhaust(aws), {})],
  ["no capacity, scaled to zero", (aws) => having(exhaust(aws), { settings: { strategy: "scale-zero" } })],
  [
    "template moves",
    (aws) =>
      having(
        aws.clock.after(90_000, () => aws.release({}, ["00"])),
        {},
      ),
  ],
  ["zone impaired", (aws) => having(impairAll(aws), {})],
  ["wrong account", (aws) => ({ manifest: { ...aws.manifest, accountId: "999999999999" } })],
  ["refused by preflight", () => ({ settings: { totalTimeoutMs: 1 } })],
  ...(["describeGroups", "describeInstances", "describeVolumes", "suspendLaunch", "terminate"] as const).flatMap(
    (method) =>
      (["AccessDenied", "ValidationError"] as const).map(
        (code): readonly [string, (aws: SimulatedAws) => Rehearsal] => [
          `${code} at ${method}`,
          (aws) => ({
            connection: {
              fault: (called) =>
                called === method && aws.clock.now() > 3_700_000 ? new CloudError(method, code, "no") : undefined,
            },
          }),
        ],
      ),
  ),
  ["probe throws", () => ({ probe: (truth) => ({ ...truth, leader: () => Promise.reject(new TypeError("bug")) }) })],
  ["interrupted", () => ({ stop: { level: "after this node" } })],
  ["interrupted twice", () => ({ stop: { level: "now" } })],
];

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

  test.each(EXITS)("R6: %s leaves sizes and launches as they were, and no lock", async (_name, arrange) => {
    const aws = await released();
    aws.autoScaling.suspend("orders-node-01", "AZRebalance");
    const store = new MemoryStore();

    const { outcome } = await rehearse(aws, { store, ...arrange(aws) });

    expect(outcome.status).toBeTruthy();
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
