import { nodeCommands } from "../../../scripts/rolling-update/aws/node-commands";
import { parameterStore } from "../../../scripts/rolling-update/aws/parameter-store";
import type { SystemsManagerActions } from "../../../scripts/rolling-update/aws/systems-manager";
import { type Cloud, CloudError } from "../../../scripts/rolling-update/cloud";
import { drainOnNode } from "../../../scripts/rolling-update/drain-on-node";
import type { Manifest } from "../../../scripts/rolling-update/manifest";
import { ACTION_OF, rollerPolicy } from "../../../scripts/rolling-update/policy";
import { roll } from "../../../scripts/rolling-update/roll";
import { parseSettings, type SettingsInput } from "../../../scripts/rolling-update/settings";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { SimulatedSystemsManager } from "../../../scripts/rolling-update/simulator/systems-manager";
import { decide, type PolicyDocument, type Request } from "../../support/iam-policy";

jest.setTimeout(120_000);

const REGION = "arn:aws:autoscaling:eu-west-1:123456789012";
const TAGGED = { "aws:ResourceTag/holdfast:cluster": "orders", "ssm:resourceTag/holdfast:cluster": "orders" };
const ALL = { changesGroups: true, reachesNodes: true };

/** What each call of Systems Manager is authorized against: all of them, or the call is denied. */
function requestsOf(name: keyof SystemsManagerActions, input: object): Request[] {
  const action = `ssm:${name}`;
  const on = (resource: string, context = {}) => ({ action, resource, context });
  if ("Path" in input) return [on(`arn:aws:ssm:eu-west-1:123456789012:parameter${String(input.Path)}`)];
  if ("Name" in input) return [on(`arn:aws:ssm:eu-west-1:123456789012:parameter${String(input.Name)}`)];
  if (!("InstanceIds" in input)) return [on("*")];
  const [instanceId] = input.InstanceIds as string[];
  return [
    on("arn:aws:ssm:eu-west-1::document/AWS-RunShellScript"),
    on(`arn:aws:ec2:eu-west-1:123456789012:instance/${instanceId}`, TAGGED),
  ];
}

/** What a call of the cloud is authorized against: the groups' changes know the group, all else knows nothing. */
function requestOf(method: keyof Cloud): Request {
  const action = ACTION_OF[method];
  const isChange = action.startsWith("autoscaling:") && !action.includes("Describe");
  if (!isChange) return { action, resource: "*" };
  return { action, resource: `${REGION}:autoScalingGroup:uuid:autoScalingGroupName/orders-node-00`, context: TAGGED };
}

/** The policy as generated, or without one of its actions. */
function enforced(manifest: Manifest, without?: string): (request: Request) => boolean {
  const Statement = rollerPolicy(manifest, ALL).Statement.map((statement) => ({
    ...statement,
    Action: statement.Action.filter((action) => action !== without),
  }));
  const identity = [{ Version: "2012-10-17", Statement } as unknown as PolicyDocument];
  return (request) =>
    request.action === "sts:GetCallerIdentity" || decide({ identity, boundary: undefined }, request) === "allowed";
}

/** Rolls that use every right but the two below: how each ended, and what was left behind. */
async function everything(without?: string): Promise<string[]> {
  const ends: string[] = [];
  const aws = await SimulatedAws.running({ hook: { heartbeatMs: 120_000 } });
  const allows = enforced(aws.manifest, without);
  const denied = (action: string) => new CloudError(action, "AccessDenied", `not authorized to perform: ${action}`);
  const ssm = new SimulatedSystemsManager(aws.clock, (name, input) =>
    requestsOf(name, input).every(allows) ? undefined : denied(`ssm:${name}`),
  );
  const fault = (method: keyof Cloud) => (allows(requestOf(method)) ? undefined : denied(ACTION_OF[method]));
  const run = async (settings: SettingsInput, drain: "quick" | "endless" = "quick") => {
    const process = aws.clock.process();
    const cloud = aws.connect(process, { fault });
    const channel = nodeCommands(ssm, process, async (id) => aws.guests.instanceServing(id));
    const outcome = await aws.clock.run(
      roll(
        {
          cloud,
          clock: process,
          store: parameterStore("orders", ssm),
          probe: aws.guests.probe(process, () => 0),
          drain: drainOnNode(channel, drain, undefined, 60_000),
          report: () => {},
        },
        aws.deployment(),
        parseSettings(settings),
        { owner: "tester" },
      ).catch((error) => ({ status: "failed" as const, error })),
    );
    if (outcome === "still running") throw new Error("the roll did not end");
    const { status, error } = outcome;
    ends.push(error && status === "failed" ? `${error.code}` : status);
    if (error?.code === "HOOK_ABANDONED" && !error.reason?.includes("console")) ends.push("mute");
  };
  aws.release({ bootMs: () => 100_000 });
  await run({ alarms: ["errors"] });
  aws.release({ boot: "hangs" });
  await run({ launchTimeoutMs: 120_000 });
  aws.release();
  await run({});
  aws.release();
  await run({}, "endless");
  const onBoot = aws.autoScaling.onBoot;
  aws.autoScaling.onBoot = (instanceId, group) => {
    aws.ec2.console.set(instanceId, "console");
    onBoot(instanceId, group);
  };
  aws.release({ boot: "fails" });
  await run({ onFailure: "rollback" });
  return [
    ...ends,
    `${ssm.underWay} commands left`,
    `${(await ssm.parameters("/holdfast/orders/roll/lock/")).length} locks`,
  ];
}

const WELL = ["done", "LAUNCH_TIMEOUT", "done", "DRAIN_FAILED", "rolled back", "0 commands left", "1 locks"];
/** Used by Auto Scaling for the caller, when a group gets another template: the simulator has no such check. */
const CHECKED_BY_AWS = ["ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"];

describe("the roller's IAM policy", () => {
  test("R22: is enough for every kind of roll, resources and conditions included", async () => {
    await expect(everything()).resolves.toEqual(WELL);
  });

  const manifest = { ...({} as Manifest), accountId: "123456789012", cluster: "orders", region: "eu-west-1" };
  const tag = { key: "holdfast:cluster", value: "orders" };
  const actions = new Set(rollerPolicy({ ...manifest, tag }, ALL).Statement.flatMap(({ Action }) => Action));
  test.each([...actions].filter((action) => !CHECKED_BY_AWS.includes(action)))(
    "R22: does not do without %s",
    async (action) => {
      await expect(everything(action)).resolves.not.toEqual(WELL);
    },
  );

  test("R22: knows no action that no call needs", () => {
    const called = new Set<string>([...Object.values(ACTION_OF), ...SYSTEMS_MANAGER.map((name) => `ssm:${name}`)]);

    expect([...actions].filter((action) => !called.has(action)).sort()).toEqual([...CHECKED_BY_AWS].sort());
  });

  test("R23: allows nothing that detaches, deletes or changes a disk, an interface or an instance", () => {
    const changes = [...actions].filter((action) => action.startsWith("ec2:") && !action.startsWith("ec2:Describe"));

    expect(changes.sort()).toEqual(["ec2:CreateTags", "ec2:GetConsoleOutput", "ec2:RunInstances"]);
    expect([...actions].filter((action) => action.includes("*"))).toEqual([]);
  });

  test("R22: changes only groups with the cluster's tag, and only the cluster's own parameters", async () => {
    const aws = await SimulatedAws.running();

    const statements = rollerPolicy(aws.manifest).Statement;

    for (const { Sid, Action, Resource, Condition } of statements) {
      const isRead = Action.every((action) => /:(Describe|Get)/.test(action));
      if (isRead) continue;
      if (Sid === "LockAndJournal") expect(JSON.stringify(Resource)).not.toMatch(/parameter\/\*|"\*"/);
      else expect(Condition).toEqual({ StringEquals: { "aws:ResourceTag/holdfast:cluster": "orders" } });
    }
    expect(JSON.stringify(statements)).not.toContain("ec2:RunInstances");
  });

  test("R22: reaches no other cluster's groups, parameters and instances", () => {
    const allows = enforced({ ...manifest, tag } as Manifest);
    const other = { "aws:ResourceTag/holdfast:cluster": "payments", "ssm:resourceTag/holdfast:cluster": "payments" };

    expect(allows({ ...requestOf("terminate"), context: other })).toBe(false);
    expect(requestsOf("PutParameter", { Name: "/holdfast/payments/roll/lock/1" }).every(allows)).toBe(false);
    const [, onInstance] = requestsOf("SendCommand", { InstanceIds: ["i-0123456789abcdef0"] });
    expect(onInstance && allows({ ...onInstance, context: other })).toBe(false);
  });
});

const SYSTEMS_MANAGER: readonly (keyof SystemsManagerActions)[] = [
  "GetParametersByPath",
  "PutParameter",
  "DeleteParameter",
  "SendCommand",
  "GetCommandInvocation",
  "CancelCommand",
];
