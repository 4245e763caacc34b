import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeModule } from "../../../modules/publish/write-module";
import { STATEFUL_CLUSTER_MODULE } from "../../../modules/stateful-cluster/published-module";
import { type PlannedChange, type Terraform, terraformIn } from "../../../scripts/emulator/terraform";
import { useEmulatedAws } from "../../support/emulator";

const FIXTURES = join(__dirname, "../../fixtures");
const aws = useEmulatedAws();
let directory: string;
let before: Readonly<Record<string, unknown>>;
let ours: Terraform;

/** A user's root whose cluster is made by `module`, over the state that is there. */
async function root(module: "former" | "ours"): Promise<Terraform> {
  const cluster = join(directory, "cluster");
  rmSync(cluster, { recursive: true, force: true });
  if (module === "former") cpSync(join(FIXTURES, "former-cluster"), cluster, { recursive: true });
  else writeModule(STATEFUL_CLUSTER_MODULE, cluster);
  cpSync(join(FIXTURES, "cluster-caller.tf"), join(directory, "main.tf"));
  const terraform = terraformIn(directory, aws.emulator());
  await terraform.init();
  return terraform;
}

/** Says how the cluster is rolled, beside the caller's own words. */
function override(rollingUpdate: object): void {
  const file = { module: { cluster: { rolling_update: rollingUpdate } } };
  writeFileSync(join(directory, "rolling_override.tf.json"), JSON.stringify(file));
}

const byAction = (changes: readonly PlannedChange[], action: string) =>
  changes.filter(({ change }) => change.actions.includes(action)).map(({ address }) => address);
const node = (id: string, ...resources: string[]) =>
  resources.map((resource) => `module.cluster.module.cluster_nodes["${id}"].${resource}`);
const every = (...resources: string[]) => ["00", "01", "02"].flatMap((id) => node(id, ...resources));
const TRIGGER = "module.cluster.null_resource.roll_instances[0]";
const TEMPLATE = ["aws_autoscaling_group.node_asg", "aws_launch_template.node"];

// One cluster, since Terraform and its provider take their time: made by the former module, taken over in the first test.
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-drop-in-"));
  const former = await root("former");
  await former.apply();
  before = await former.outputs();
});
afterAll(() => rmSync(directory, { recursive: true }));

test("a cluster of the former module goes on under ours: templates, groups and the policy change, and the roll is due", async () => {
  ours = await root("ours");
  const { changes } = await ours.plan();

  // The trigger holds nothing: replaced, it runs, as the former one did whenever a template changed.
  expect(byAction(changes, "delete")).toEqual([TRIGGER]);
  expect(byAction(changes, "create")).toEqual([TRIGGER]);
  expect(byAction(changes, "update").sort()).toEqual(
    ["module.cluster.aws_iam_policy.node_policy", ...every(...TEMPLATE)].sort(),
  );
});

test("a roll that does not come to its end stops the apply, and Terraform says why and what is next", async () => {
  override({ options: ["--check-command", "false", "--poll", "1s", "--gate-timeout", "2s"] });

  const failed = await ours.apply().catch((error: Error) => error.message.replace(/\s+/g, " "));

  expect(failed).toContain("GATE_CLOSED: no node was let go for");
  expect(failed).toContain("why: node 00: false ended with 1");
  expect(failed).toContain("next: repair the node that is named, then `holdfast roll resume`");
});

test("rolled by hand, it has no trigger; applied, nothing changes in the next plan", async () => {
  override({ when: "none" });

  await ours.apply();

  expect((await ours.plan()).changes).toEqual([]);
  expect((await ours.state()).filter((address) => address.includes("null_resource"))).toEqual([]);
  const { asg_names, role } = await ours.outputs();
  expect({ asg_names, role }).toEqual({ asg_names: before["asg_names"], role: before["role"] });
});

test("another image and a larger disk touch the nodes that get them", async () => {
  const { changes } = await ours.plan("-var", 'node_overrides={"01"={image="ami-0fedcba9876543210"},"02"={size="40"}}');

  expect(changes.map(({ address, change }) => [address, ...change.actions]).sort()).toEqual([
    ...node("01", ...TEMPLATE).map((address) => [address, "update"]),
    ...node("02", "aws_ebs_volume.node_data").map((address) => [address, "update"]),
  ]);
});

test("a node that is added and one that is removed touch themselves and the nodes' policy", async () => {
  const { changes } = await ours.plan("-var", 'node_ids=["00","02","03"]');

  const others = (addresses: string[], id: string) => addresses.filter((address) => !address.includes(`["${id}"]`));
  expect(byAction(changes, "create")).not.toEqual([]);
  expect(byAction(changes, "delete")).not.toEqual([]);
  expect(others(byAction(changes, "create"), "03")).toEqual([]);
  expect(others(byAction(changes, "delete"), "01")).toEqual([]);
  expect(byAction(changes, "update")).toEqual(["module.cluster.aws_iam_policy.node_policy"]);
});

test.each<[string, string[], RegExp]>([
  [
    "part a node from its data",
    ["-var", 'node_overrides={"01"={zone="c"}}'],
    /Node 01: volume data is in us-west-2b, subnet\s+subnet-\w+ in\s+us-west-2c/,
  ],
  ["not fit into user data", ["-var", `script=${incompressible(8_000)}`], /do not fit\s+into user data/],
])("what would %s is refused at plan", async (_what, options, message) => {
  await expect(ours.plan(...options)).rejects.toThrow(message);
});

/** Text that a compressor makes little of. */
function incompressible(characters: number): string {
  let state = 1;
  return Array.from({ length: characters }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(97 + (state % 26));
  }).join("");
}
