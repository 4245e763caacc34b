import { CloudError } from "../../../scripts/rolling-update/cloud";
import { readJournal } from "../../../scripts/rolling-update/journal";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { behind, rehearse, startRoll, stranded } from "../../support/rolling";

const HOUR = 3_600_000;

/** What AWS says of a launch that failed, by the code it is given here. */
const LAUNCH_FAULTS: readonly (readonly [string, string])[] = [
  [
    "INSUFFICIENT_CAPACITY",
    "We currently do not have sufficient m6i.large capacity in the Availability Zone you requested (eu-west-1a).",
  ],
  [
    "QUOTA_EXCEEDED",
    "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket.",
  ],
  ["IMAGE_UNUSABLE", "The AMI ID 'ami-0bad' does not exist."],
  [
    "INSTANCE_TYPE_UNSUPPORTED",
    "Your requested instance type (m9x.large) is not supported in your requested Availability Zone (eu-west-1a).",
  ],
  [
    "KMS_KEY_UNUSABLE",
    "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state.",
  ],
  ["INSTANCE_PROFILE_INVALID", "Invalid IAM Instance Profile name."],
  ["NOT_AUTHORIZED", "You are not authorized to perform this operation."],
  ["SECURITY_GROUP_MISSING", "The security group 'sg-0123' does not exist."],
  ["KEY_PAIR_MISSING", "The key pair 'ops' does not exist."],
  ["VOLUME_LIMIT", "VolumeLimitExceeded: You have exceeded the maximum number of gp3 volumes."],
  ["INTERFACE_IN_USE", "Interface: [eni-00] in use."],
  ["LAUNCH_FAILED", "Something nobody has seen."],
];

/** A roll whose first launch is refused with these words; how long after it the roll was over. */
async function failingLaunch(message: string) {
  const aws = await SimulatedAws.running();
  aws.release();
  let failedMs: number | undefined;
  aws.ec2.launchFault = () => {
    failedMs ??= aws.clock.now();
    return message;
  };

  const { outcome } = await rehearse(aws);

  if (failedMs === undefined) throw new Error("nothing was launched");
  return { aws, outcome, detectedMs: aws.clock.now() - failedMs };
}

describe("when a node fails", () => {
  test.each(LAUNCH_FAULTS)(
    "R15: %s ends the wait within one look and says so in AWS's words",
    async (code, message) => {
      const { outcome, aws, detectedMs } = await failingLaunch(message);

      expect(outcome.error).toMatchObject({ code, node: "00", reason: expect.stringContaining(message) });
      expect(outcome.error?.next).toBeTruthy();
      expect(detectedMs).toBeLessThanOrEqual(7_000);
      expect(stranded(aws)).toEqual([]);
    },
  );

  test("R15: of twelve kinds of failed launch the median is known at the next look", async () => {
    const detected: number[] = [];
    for (const [, message] of LAUNCH_FAULTS) detected.push((await failingLaunch(message)).detectedMs);

    expect(detected.length).toBeGreaterThanOrEqual(12);
    const median = detected.sort((a, b) => a - b)[Math.floor(detected.length / 2)];
    expect(median).toBeLessThanOrEqual(parseSettings().pollMs);
  });

  test("R15: a node that abandons its hook ends the wait, with what it printed", async () => {
    const aws = await SimulatedAws.running();
    aws.release({ boot: "fails" });
    const onBoot = aws.autoScaling.onBoot;
    aws.autoScaling.onBoot = (instanceId, group) => {
      const shutdown = "[\u001b[0;32m  OK  \u001b[0m] Stopped something.\r\n".repeat(30);
      const verdict = "holdfast-node: node 00 failed at configure (configure-failed): member count is unequal\r\n";
      aws.ec2.console.set(instanceId, `mounting /data\r\n${verdict}${shutdown}`);
      onBoot(instanceId, group);
    };

    const { outcome } = await rehearse(aws);

    expect(outcome.error).toMatchObject({
      code: "HOOK_ABANDONED",
      node: "00",
      instanceId: expect.stringMatching(/^i-/),
    });
    expect(outcome.error?.reason).toMatch(/\nholdfast-node: .*: member count is unequal\n\[ {2}OK {2}\] Stopped/);
  });

  test("R13: of two that are replaced together, one that fails ends the roll though the other takes longer and is well", async () => {
    const aws = await SimulatedAws.running({ nodes: 7, zones: ["a"] });
    const [, fails = "", ...others] = aws.manifest.nodes.map(({ id }) => id);
    aws.release({ boot: "fails", bootMs: () => 10_000 }, [fails]);
    aws.release({ bootMs: () => 300_000 }, ["00", ...others]);
    const monitor = new Monitor(aws, 0, 2);

    const { outcome } = await rehearse(aws, { settings: { parallelWithinZone: 2 } });

    expect(outcome).toMatchObject({
      status: "failed",
      replaced: ["00", "02"],
      error: { code: "HOOK_ABANDONED", node: fails },
    });
    expect(monitor.terminatedNodes).toEqual(["00", "01", "02"]);
    expect(monitor.violations).toEqual([]);
    expect(stranded(aws)).toEqual([]);
  });

  test("R15: a node that never ends its hook is given up at the launch limit, naming its state", async () => {
    const aws = await SimulatedAws.running();
    aws.release({ boot: "hangs" });

    const { outcome } = await rehearse(aws, { settings: { launchTimeoutMs: 20 * 60_000 } });

    expect(outcome.error).toMatchObject({ code: "LAUNCH_TIMEOUT", reason: expect.stringContaining("Pending:Wait") });
  });

  test("R16: a recovery of three hours outlives a heartbeat of one", async () => {
    const aws = await SimulatedAws.running({ hook: { heartbeatMs: HOUR, globalMs: 48 * HOUR } });
    aws.release({ bootMs: () => 3 * HOUR }, ["00"]);
    const monitor = new Monitor(aws);

    const { outcome } = await rehearse(aws, { settings: { launchTimeoutMs: 4 * HOUR } });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00"] });
    expect(monitor.terminated).toHaveLength(1);
    expect(aws.mutations.filter(({ method }) => method === "heartbeat").length).toBeGreaterThanOrEqual(8);
  });

  test.each([
    ["launch limit beyond the hook's global timeout", { launchTimeoutMs: 4 * HOUR }, "launchTimeoutMs (14400000)"],
    ["polls too rare for the heartbeat", { pollMs: 30 * 60_000 }, "pollMs (1800000)"],
    ["a total below one node", { totalTimeoutMs: 1_000 }, "totalTimeoutMs (1000)"],
  ])("R16: %s is refused before anything changes", async (_name, settings, words) => {
    const aws = await SimulatedAws.running({ hook: { heartbeatMs: HOUR, globalMs: 2 * HOUR } });
    aws.release();

    const { outcome } = await rehearse(aws, { settings });

    expect(outcome.error?.code).toBe("PREFLIGHT_REFUSED");
    expect(outcome.error?.message).toContain(words);
    expect(aws.mutations).toEqual([]);
  });

  test("R17: a node stuck on a bad release is abandoned and replaced first by the next", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release({ boot: "hangs" });
    const first = await rehearse(aws, { store, settings: { launchTimeoutMs: 10 * 60_000 } });
    expect(first.outcome.error?.code).toBe("LAUNCH_TIMEOUT");
    expect(aws.group("orders-node-00").instances[0]?.lifecycle).toBe("Pending:Wait");

    aws.release();
    const monitor = new Monitor(aws);
    const { outcome } = await rehearse(aws, { store });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
    expect(monitor.terminatedNodes).toEqual(["00", "01", "02"]);
    expect(aws.mutations.filter(({ method }) => method === "abandon")).toHaveLength(1);
    expect(behind(aws)).toEqual([]);
  });

  test("R17: a release that cannot launch is followed by one that can", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    aws.ec2.launchFault = ({ version }) => (version === 2 ? "The AMI ID 'ami-0bad' does not exist." : undefined);
    const first = await rehearse(aws, { store });
    expect(first.outcome.error?.code).toBe("IMAGE_UNUSABLE");
    await aws.pass(HOUR);

    aws.release();
    const { outcome } = await rehearse(aws, { store });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
  });

  test("R17: a node whose group brings the next bad release up by itself is named at once, and keeps the others from it", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release({ boot: "fails" });
    await rehearse(aws, { store });
    aws.release({ boot: "sick" });
    await aws.pass(HOUR);

    const { outcome, events } = await rehearse(aws, { store, settings: { gateTimeoutMs: 5 * 60_000 } });

    const reason = expect.stringMatching(/^node 00: /);
    expect(events.find(({ kind }) => kind === "waiting")).toMatchObject({ phase: "gate", reason });
    expect(outcome.error).toMatchObject({ code: "GATE_CLOSED", reason });
    expect(aws.mutations.filter(({ method }) => method === "terminate")).toHaveLength(1);
  });

  test("R20: half of all calls throttled, the roll is done", async () => {
    const aws = await SimulatedAws.running();
    aws.release();

    const { outcome } = await rehearse(aws, {
      connection: {
        fault: (method) => (aws.random() < 0.5 ? new CloudError(method, "Throttling", "Rate exceeded") : undefined),
      },
    });

    expect(outcome.status).toBe("done");
  });

  test("R20: of the calls that reach lock and journal a third throttled, the roll is done", async () => {
    const aws = await SimulatedAws.running();
    aws.release();

    const { outcome } = await rehearse(aws, {
      aroundStore: async (method, call) => {
        if (aws.random() < 1 / 3) throw new CloudError(method, "ThrottlingException", "Rate exceeded");
        return call();
      },
    });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
  });

  test.each([40_000, 90_000])("R8: checks of %i ms do not cost a roll its lock", async (checkMs) => {
    const aws = await SimulatedAws.running();
    const process = aws.clock.process();
    aws.release();
    const slowly = async <T>(answer: Promise<T>) => {
      await process.sleep(checkMs);
      return answer;
    };

    const { outcome } = await rehearse(aws, {
      process,
      probe: (truth) => ({
        health: (nodes) => slowly(truth.health(nodes)),
        canRoll: (going, all) => slowly(truth.canRoll(going, all)),
        leader: (nodes) => slowly(truth.leader(nodes)),
      }),
    });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
    expect(stranded(aws)).toEqual([]);
  });

  test("R15: credentials that end while a group is kept from launching leave it so, which is said, and so is what ends it", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();

    const { outcome } = await rehearse(aws, {
      store,
      connection: {
        fault: (method) =>
          aws.group("orders-node-00").suspended.length > 0 && method !== "terminate"
            ? new CloudError(method, "ExpiredToken", "not today")
            : undefined,
      },
    });

    expect(stranded(aws)).toEqual(["orders-node-00: Launch suspended"]);
    expect(outcome.error).toMatchObject({
      code: "CLOUD_DENIED",
      reason: "ExpiredToken: not today\norders-node-00 is kept from launching: `holdfast roll resume` ends that",
    });
    const resumed = await rehearse(aws, { store, resume: true });
    expect(resumed.outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
    expect(stranded(aws)).toEqual([]);
  });

  test("R14: what a drain said that failed is told whole, and kept as far as the journal has room for it", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    const said = "no quorum without it\n".repeat(400);

    const { outcome } = await rehearse(aws, {
      store,
      drain: { drain: () => Promise.reject(new Error(said)), undrain: async () => {} },
      aroundStore: async (method, call, [, text]) => {
        // https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
        if (String(text).length > 4_096) throw new CloudError(method, "ValidationException", "4096 characters at most");
        return call();
      },
    });

    expect(outcome.error).toMatchObject({ code: "DRAIN_FAILED", node: "00" });
    expect(outcome.error?.reason).toContain(said.trim());
    const { replacements } = await readJournal(store);
    expect(replacements.get("00")).toMatchObject({
      state: "failed",
      failure: { code: "DRAIN_FAILED", reason: "no quorum without it" },
    });
  });

  test.each(["AccessDenied", "ExpiredToken", "UnauthorizedOperation"])(
    "R20: %s ends the roll within five seconds, in the cloud's words",
    async (code) => {
      const aws = await SimulatedAws.running();
      aws.release();
      let deniedMs: number | undefined;
      const { done } = startRoll(aws, {
        connection: {
          fault: (method) => {
            if (aws.mutations.length === 0 || method !== "describeInstances") return undefined;
            deniedMs ??= aws.clock.now();
            return new CloudError(method, code, "not today");
          },
        },
      });

      const result = await aws.clock.run(done);

      expect(result).toMatchObject({ outcome: { error: { code: "CLOUD_DENIED", reason: `${code}: not today` } } });
      expect(aws.clock.now() - (deniedMs ?? 0)).toBeLessThanOrEqual(5_000);
      expect(stranded(aws)).toEqual([]);
    },
  );
});
