import {
  SetInstanceHealthCommand,
  SuspendProcessesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import { DescribeVolumesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { AwsError } from "../../scripts/emulator/aws-error";
import { noFaults } from "../../scripts/emulator/faults";
import { eventually } from "../support/eventually";
import { type Applied, BROKEN, type CaseCluster, type CaseNode, openCases, type SeenNode } from "./former-cases";

/*
 * What the module that this one stands in for had people try by hand before a release. Terraform takes most of the time,
 * however much it makes: so every case is a cluster of its own, and four applies bring all of them through what they are about.
 */

const OTHER_IMAGE = "ami-0fedcba9876543210";
const OTHER_TYPE = "t3.medium";
const nodes = (...ids: readonly string[]): Record<string, CaseNode> => Object.fromEntries(ids.map((id) => [id, {}]));
const THREE = nodes("00", "01", "02");

const MADE = {
  solo: { network: 0, nodes: nodes("00") },
  "solo-fails": { network: 1, nodes: nodes("00"), image: BROKEN },
  trio: { network: 2, nodes: THREE },
  "third-missing": { network: 3, nodes: THREE },
  "one-fails": { network: 4, nodes: { ...THREE, "01": { image: BROKEN } } },
  "no-capacity": { network: 5, nodes: THREE },
  mixed: { network: 6, nodes: { "00": { instance_type: "m6i.large", size: "40" }, "01": { image: OTHER_IMAGE } } },
  grows: { network: 7, nodes: nodes("00") },
  ailing: { network: 8, nodes: nodes("00", "01") },
} satisfies Record<string, CaseCluster>;

const CHANGED = {
  ...MADE,
  "solo-fails": { ...MADE["solo-fails"], image: OTHER_IMAGE },
  trio: { ...MADE.trio, instance_type: OTHER_TYPE },
  "third-missing": { ...MADE["third-missing"], instance_type: OTHER_TYPE },
  "one-fails": { ...MADE["one-fails"], nodes: THREE },
  "no-capacity": { ...MADE["no-capacity"], instance_type: "u-24tb1.112xlarge" },
  mixed: { ...MADE.mixed, nodes: { ...MADE.mixed.nodes, "01": { image: OTHER_IMAGE, instance_type: OTHER_TYPE } } },
  grows: { ...MADE.grows, nodes: nodes("00", "01") },
  ailing: {
    ...MADE.ailing,
    nodes: { ...MADE.ailing.nodes, "00": { image: OTHER_IMAGE } },
    options: ["--gate-timeout", "3s"],
  },
} satisfies Record<string, CaseCluster>;

const CORRECTED = {
  ...CHANGED,
  "no-capacity": { ...CHANGED["no-capacity"], instance_type: OTHER_TYPE },
  grows: { ...CHANGED.grows, nodes: nodes("00", "01", "02", "03") },
  ailing: { ...CHANGED.ailing, options: [] },
} satisfies Record<string, CaseCluster>;

type Case = keyof typeof MADE;

jest.setTimeout(600_000);
let cases: Awaited<ReturnType<typeof openCases>>;
let made: Applied;
let changed: Applied;
let corrected: Applied;
let again: Applied;

beforeAll(async () => {
  cases = await openCases(MADE);
  const { faults } = cases.aws;

  faults.refuse = ({ action, parameters }) =>
    action === "CreateAutoScalingGroup" && parameters["AutoScalingGroupName"] === "third-missing-node-02"
      ? new AwsError("AccessDenied", "You are not authorized to perform this operation.", 403)
      : undefined;
  made = await cases.apply(MADE);
  Object.assign(faults, noFaults());
  // No roll has waited for them.
  await eventually(async () => {
    const there = Object.values((await cases.look())("third-missing"));
    return there.every(({ inService }) => inService) || undefined;
  });
  made = { ...made, nodes: await cases.look() };

  // Its group would replace it, were it not kept from it.
  await cases.autoScaling.send(
    new SuspendProcessesCommand({ AutoScalingGroupName: "ailing-node-01", ScalingProcesses: ["ReplaceUnhealthy"] }),
  );
  const InstanceId = node(made, "ailing", "01").instance;
  await cases.autoScaling.send(new SetInstanceHealthCommand({ InstanceId, HealthStatus: "Unhealthy" }));
  faults.noCapacity = ({ group, template }) =>
    group.startsWith("no-capacity-") && template.version === "2"
      ? "We currently do not have sufficient u-24tb1.112xlarge capacity in the Availability Zone you requested."
      : undefined;
  changed = await cases.apply(CHANGED);

  await cases.autoScaling.send(
    new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: false }),
  );
  await eventually(async () => {
    const ailing = (await cases.look())("ailing")["01"];
    return (ailing?.inService && ailing.instance !== InstanceId) || undefined;
  });
  corrected = await cases.apply(CORRECTED);
  again = await cases.apply(CORRECTED);
});
afterAll(() => cases?.close());

function node(applied: Applied, name: Case, id: string): SeenNode {
  const seen = applied.nodes(name)[id];
  if (seen === undefined) throw new Error(`${name} has no group of node ${id}`);
  return seen;
}

const launches = ({ deeds }: SeenNode) => deeds.filter(({ what }) => what === "launch");
const terminations = ({ deeds }: SeenNode) => deeds.filter(({ what }) => what === "termination");
const ids = (name: Case, applied: Applied) => Object.keys(applied.nodes(name));
const versions = (applied: Applied, name: Case) =>
  Object.values(applied.nodes(name)).map(({ wanted, version, inService }) => [wanted, version, inService]);

/** Every node has been in service from one launch, and nothing was taken from it. */
function expectLaunchedOnce(applied: Applied, name: Case, nodeIds: readonly string[]): void {
  expect(ids(name, applied)).toEqual(nodeIds);
  for (const id of nodeIds) {
    const seen = node(applied, name, id);
    expect([name, id, seen.inService, launches(seen).length, terminations(seen).length]).toEqual([
      name,
      id,
      true,
      1,
      0,
    ]);
  }
}

/** The group did nothing between two applies, and its instance serves. */
function expectUntouched(before: Applied, after: Applied, name: Case, nodeIds: readonly string[]): void {
  for (const id of nodeIds) {
    const { instance, deeds } = node(before, name, id);
    expect(node(after, name, id)).toMatchObject({ instance, deeds, inService: true });
  }
}

/** Every node was replaced once between two applies, and each was back before the next one went. */
function expectRolled(before: Applied, after: Applied, name: Case, nodeIds: readonly string[]): void {
  const absences = nodeIds.map((id) => {
    const since = node(after, name, id).deeds.slice(node(before, name, id).deeds.length);
    expect(since.map(({ what, status }) => `${what} ${status}`)).toEqual([
      "termination Successful",
      "launch Successful",
    ]);
    expect(node(after, name, id).inService).toBe(true);
    return { fromMs: since[0]?.fromMs ?? 0, untilMs: since[1]?.untilMs ?? 0 };
  });
  absences.sort((one, other) => one.fromMs - other.fromMs);
  for (const [index, { untilMs }] of absences.slice(0, -1).entries()) {
    expect(untilMs).toBeLessThanOrEqual(absences[index + 1]?.fromMs ?? 0);
  }
}

test("case 1: a cluster of one node comes up, and the apply ends once it is in service", () => {
  expect(made.failure("solo")).toBe("");
  expectLaunchedOnce(made, "solo", ["00"]);
});

test("case 2: a cluster of one node that does not come up fails the apply with the group's reason; the next release goes through", () => {
  expect(made.failure("solo-fails")).toMatch(/HOOK_ABANDONED: the group could not start the replacement \(node 00/);
  expect(made.failure("solo-fails")).toContain("why: Instance failed to complete user's Lifecycle Action");
  expect(made.failure("solo-fails")).toContain("next: read what the node printed");

  expect(changed.failure("solo-fails")).toBe("");
  expect(versions(changed, "solo-fails")).toEqual([["2", "2", true]]);
});

test("case 3: every node of a cluster comes up, and the roll of the apply that makes it replaces none", () => {
  expect(made.failure("trio")).toBe("");
  expectLaunchedOnce(made, "trio", ["00", "01", "02"]);
});

test("case 4: where the third group was never made, a change of type makes it, and rolls the other two once all three are up", () => {
  expect(made.failure("third-missing")).toContain("creating Auto Scaling Group (third-missing-node-02)");
  expectLaunchedOnce(made, "third-missing", ["00", "01"]);

  expect(changed.failure("third-missing")).toBe("");
  expect(versions(changed, "third-missing")).toEqual([
    ["2", "2", true],
    ["2", "2", true],
    ["2", "2", true],
  ]);
  expectRolled(made, changed, "third-missing", ["00", "01"]);
  const third = node(changed, "third-missing", "02");
  expect([launches(third).length, terminations(third).length]).toEqual([1, 0]);
  for (const id of ["00", "01"]) {
    expect(launches(third)[0]?.untilMs).toBeLessThanOrEqual(
      terminations(node(changed, "third-missing", id))[0]?.fromMs ?? 0,
    );
  }
});

test("case 5: where one node of a new cluster does not come up, the apply names it and why, the others serve; a corrected one goes through", () => {
  expect(made.failure("one-fails")).toMatch(/HOOK_ABANDONED: .*\(node 01/);
  expect(versions(made, "one-fails").map(([, , inService]) => inService)).toEqual([true, false, true]);

  expect(changed.failure("one-fails")).toBe("");
  expectUntouched(made, changed, "one-fails", ["00", "02"]);
  expect(node(changed, "one-fails", "01")).toMatchObject({ wanted: "2", version: "2", inService: true });
});

test("case 6: a change of type replaces every node, one at a time", async () => {
  expect(changed.failure("trio")).toBe("");
  expectRolled(made, changed, "trio", ["00", "01", "02"]);
  for (const { instance = "" } of Object.values(again.nodes("trio"))) {
    expect(await cases.aws.facts({ instanceId: instance })).toMatchObject({ instanceType: OTHER_TYPE });
  }
});

test("case 7: a change of type that the first node does not survive stops there, with AWS's own sentence", () => {
  expect(changed.failure("no-capacity")).toMatch(/INSUFFICIENT_CAPACITY: .*\(node 00/);
  expect(changed.failure("no-capacity")).toContain(
    "why: We currently do not have sufficient u-24tb1.112xlarge capacity in the Availability Zone you requested.",
  );
  expect(versions(changed, "no-capacity")[0]).toEqual(["2", undefined, false]);
});

test("case 8: the other two have not left service meanwhile, and the corrected type goes through, the broken node first", () => {
  expectUntouched(made, changed, "no-capacity", ["01", "02"]);

  expect(corrected.failure("no-capacity")).toBe("");
  expect(versions(corrected, "no-capacity")).toEqual(THREE_AT_VERSION_3);
  expectRolled(changed, corrected, "no-capacity", ["01", "02"]);
  const back = launches(node(corrected, "no-capacity", "00")).at(-1)?.untilMs;
  for (const id of ["01", "02"]) {
    expect(back).toBeLessThanOrEqual(terminations(node(corrected, "no-capacity", id))[0]?.fromMs ?? 0);
  }
});

const THREE_AT_VERSION_3 = Array.from({ length: 3 }, () => ["3", "3", true]);

test("case 9: nodes may differ in type, image and volume; a change of one replaces that one alone", async () => {
  expect(made.failure("mixed")).toBe("");
  const facts = async (id: string) => cases.aws.facts({ instanceId: node(changed, "mixed", id).instance ?? "" });
  expect(await facts("00")).toMatchObject({ instanceType: "m6i.large", imageId: "ami-0123456789abcdef0" });
  expect(await facts("01")).toMatchObject({ instanceType: OTHER_TYPE, imageId: OTHER_IMAGE });
  expect([await sizeOf("mixed-data-00"), await sizeOf("mixed-data-01")]).toEqual([40, 20]);

  expect(changed.failure("mixed")).toBe("");
  expectUntouched(made, changed, "mixed", ["00"]);
  expectRolled(made, changed, "mixed", ["01"]);
});

async function sizeOf(volume: string): Promise<number | undefined> {
  const Filters = [{ Name: "tag:Name", Values: [volume] }];
  const { Volumes } = await new EC2Client(cases.client).send(new DescribeVolumesCommand({ Filters }));
  return Volumes?.[0]?.Size;
}

test("case 10: one node more, then two more, leave the nodes that are there alone", () => {
  expect([made, changed, corrected].map((applied) => applied.failure("grows"))).toEqual(["", "", ""]);
  expectLaunchedOnce(changed, "grows", ["00", "01"]);
  expectUntouched(made, changed, "grows", ["00"]);
  expectLaunchedOnce(corrected, "grows", ["00", "01", "02", "03"]);
  expectUntouched(changed, corrected, "grows", ["00", "01"]);
});

test("case 11: while another instance is unhealthy no node is let go, and the apply says which; once it is well the roll goes on", () => {
  expect(made.failure("ailing")).toBe("");
  expect(changed.failure("ailing")).toMatch(/GATE_CLOSED: no node was let go for \d+ s; nothing was terminated/);
  expect(changed.failure("ailing")).toContain(
    `why: node 01: instance ${node(made, "ailing", "01").instance} is unhealthy`,
  );
  expect(node(changed, "ailing", "00")).toMatchObject({
    ...node(made, "ailing", "00"),
    wanted: "2",
  });

  expect(corrected.failure("ailing")).toBe("");
  expectRolled(changed, corrected, "ailing", ["00"]);
});

test("case 12: an apply that changes nothing rolls nothing: not one call changes anything", () => {
  expect(Object.keys(CORRECTED).map((name) => again.failure(name))).toEqual(Object.keys(CORRECTED).map(() => ""));
  expect(again.changing).toEqual([]);
  expect(corrected.changing).not.toEqual([]);
  for (const name of Object.keys(CORRECTED) as Case[]) expect(again.nodes(name)).toEqual(corrected.nodes(name));
});
