import type { Group, TemplateVersion } from "../../../scripts/rolling-update/cloud";
import { SimulatedAws, templateId } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { rehearse } from "../../support/rolling";

const changeGroup = (aws: SimulatedAws, change: Partial<Group>) =>
  aws.autoScaling.groups.get("orders-node-01")?.view.set(change);

const changeTemplate = (aws: SimulatedAws, change: Partial<TemplateVersion>) => {
  const node = aws.manifest.nodes[1];
  if (!node) throw new Error("no second node");
  const version = aws.addVersion(node, {}, change);
  aws.autoScaling.update(node.group, { template: { id: templateId(node), version: String(version) } });
};

describe("what is refused before anything changes", () => {
  test.each<[string, (aws: SimulatedAws) => void]>([
    ["volume-survives", (aws) => aws.ec2.volumes.get("vol-01")?.set({ deleteOnTermination: true })],
    ["interface-survives", (aws) => changeTemplate(aws, { interfaces: [{ id: "eni-01", deleteOnTermination: true }] })],
    ["interface-of-node", (aws) => changeTemplate(aws, { interfaces: [{ id: "eni-02", deleteOnTermination: false }] })],
    [
      "terminate-before-launch",
      (aws) => changeGroup(aws, { maintenance: { minHealthyPercent: 100, maxHealthyPercent: 110 } }),
    ],
    [
      "terminate-before-launch",
      (aws) => changeGroup(aws, { maintenance: { minHealthyPercent: 90, maxHealthyPercent: 100 } }),
    ],
    ["no-retained-instances", (aws) => changeGroup(aws, { retainsInstances: true })],
    ["zone-not-subnet", (aws) => changeGroup(aws, { subnetIds: ["subnet-1"] })],
    ["one-zone", (aws) => aws.ec2.volumes.get("vol-01")?.set({ zone: "eu-west-1z" })],
    ["one-zone", (aws) => changeGroup(aws, { zones: ["eu-west-1a", "eu-west-1b"] })],
    ["on-demand", (aws) => changeTemplate(aws, { spot: true })],
    ["one-instance", (aws) => changeGroup(aws, { max: 2 })],
    ["foreign-suspension", (aws) => changeGroup(aws, { suspended: ["Terminate"] })],
  ])("R23: %s", async (rule, spoil) => {
    const aws = await SimulatedAws.running();
    aws.release();
    spoil(aws);

    const { outcome } = await rehearse(aws);

    expect(outcome.error?.code).toBe("PREFLIGHT_REFUSED");
    expect(outcome.error?.message).toContain(`node 01`);
    expect(outcome.error?.message).toContain(`[${rule}]`);
    expect(aws.mutations).toEqual([]);
  });

  test.each<[string, Partial<SimulatedAws["manifest"]>, string]>([
    ["account", { accountId: "999999999999" }, "WRONG_ACCOUNT"],
    ["region", { region: "us-east-1" }, "WRONG_REGION"],
    ["cluster", { tag: { key: "holdfast:cluster", value: "payments" } }, "WRONG_CLUSTER"],
  ])("R22: another %s ends before the first change", async (_name, change, code) => {
    const aws = await SimulatedAws.running();
    aws.release();

    const { outcome, store } = await rehearse(aws, { manifest: { ...aws.manifest, ...change } });

    expect(outcome.error?.code).toBe(code);
    expect(aws.mutations).toEqual([]);
    expect((await store.list("")).size).toBe(0);
  });

  test("R22: a node set that does not exist ends before the first change", async () => {
    const aws = await SimulatedAws.running();
    const [first] = aws.manifest.nodes;
    if (!first) throw new Error("no node");

    const { outcome } = await rehearse(aws, {
      manifest: { ...aws.manifest, nodes: [{ ...first, group: "orders-node-99" }] },
    });

    expect(outcome.error?.code).toBe("GROUP_MISSING");
    expect(aws.mutations).toEqual([]);
  });
});
