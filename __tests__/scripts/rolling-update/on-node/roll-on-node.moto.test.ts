import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { AutoScalingClient, UpdateAutoScalingGroupCommand } from "@aws-sdk/client-auto-scaling";
import { CreateDocumentCommand, GetCommandInvocationCommand, SendCommandCommand, SSMClient } from "@aws-sdk/client-ssm";
import { rollDocument } from "../../../../modules/stateful-cluster/roll-document";
import { parameterStore } from "../../../../scripts/rolling-update/aws/parameter-store";
import { sdkCloud } from "../../../../scripts/rolling-update/aws/sdk-cloud";
import { sdkSystemsManager } from "../../../../scripts/rolling-update/aws/sdk-systems-manager";
import { readJournal } from "../../../../scripts/rolling-update/journal";
import { lockNumber, lockOwner } from "../../../../scripts/rolling-update/lock";
import type { Manifest } from "../../../../scripts/rolling-update/manifest";
import { deployNodes } from "../../../support/emulated-nodes";
import { useEmulatedAws } from "../../../support/emulator";
import { eventually } from "../../../support/eventually";
import { instantMachinesWithAgents } from "../../../support/local-agents";
import { useTestCredentials } from "../../../support/test-credentials";

const REGION = "eu-west-1";
const DOCUMENT = "orders-roll";
const ROLE = "arn:aws:iam::123456789012:role/orders-roller";
const QUICK = "--poll 0.3s --successes 1";
const NODES = ["00", "01"];

const volumeOf = new Map<string, string>();
const aws = useEmulatedAws({
  machines: (it) =>
    instantMachinesWithAgents(it, REGION, { volumesOf: ({ privateIp }) => [volumeOf.get(privateIp) ?? ""] }),
});
let autoScaling: AutoScalingClient;
let ssm: SSMClient;
let manifest: Manifest;
const options = () => ({ region: REGION, endpoint: aws.emulator().url });

useTestCredentials();
beforeAll(async () => {
  [autoScaling, ssm] = [new AutoScalingClient(options()), new SSMClient(options())];
  manifest = await deployNodes({
    ...options(),
    ids: NODES,
    version: 1,
    onNode: ({ ip, volumeIds }) => volumeOf.set(ip, volumeIds[0] ?? ""),
  });
  const program = readFileSync(join(__dirname, "../../../../dist/roll-on-node.mjs"), "utf8").trim();
  const content = rollDocument({
    manifest: gzipSync(JSON.stringify(manifest)).toString("base64"),
    program,
    documentName: DOCUMENT,
    roleArn: ROLE,
  });
  await ssm.send(
    new CreateDocumentCommand({ Name: DOCUMENT, DocumentType: "Command", Content: JSON.stringify(content) }),
  );
  await eventually(async () => ((await instances()).every(({ inService }) => inService) ? true : undefined));
  for (const { group, template } of manifest.nodes) {
    const LaunchTemplate = { LaunchTemplateId: template?.id, Version: "2" };
    await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: group, LaunchTemplate }));
  }
});
test("a plan on a node shows what would be replaced, and changes nothing", async () => {
  const { status, stdout } = await send("01", { Action: ["plan"], Options: [QUICK] });

  expect(status).toBe("Success");
  expect(stdout).toContain("cluster orders: 2 of 2 nodes to replace");
  expect(stdout).toContain("nothing was changed");
});

test("R8, R19: a roll that is started on a node replaces all of them: at its own turn another node goes on, under a higher lock number", async () => {
  const old = await instances();

  const { stdout } = await send("00", { Action: ["run"], Options: [QUICK] });

  // What it says after that, and how its command ends, is a race with its instance's own end.
  expect(stdout).toContain("the next node is the one this roller runs on");
  const store = parameterStore("orders", sdkSystemsManager(options()));
  await eventually(async () => {
    const { roll } = await readJournal(store);
    return roll?.state === "done" && (await lockOwner(store)) === undefined ? true : undefined;
  });
  const now = await instances();
  for (const [index, { id, version, inService }] of now.entries()) {
    expect(old.map((each) => each.id)).not.toContain(id);
    expect({ index, version, inService }).toEqual({ index, version: "2", inService: true });
  }
  // From node 00 to 01, and at the turn of that one back to node 00, which is replaced by then.
  expect(await lockNumber(store)).toBe(3);
});

test("a node without a turn left is asked for the end", async () => {
  const { status, stdout } = await send("01", { Action: ["status"] });

  expect(status).toBe("Success");
  expect(stdout).toMatch(/roll .* \(forward\): done/);
  expect(stdout).toContain("nobody is rolling this cluster");
});

test("what the parameters do not allow is refused before a node is asked, and options that do not exist by the roller", async () => {
  for (const Options of ["'; touch /tmp/x; '", "$(id)", "`id`", "{{ssm:secret}}", "a\nb", "\\"]) {
    await expect(send("00", { Action: ["plan"], Options: [Options] })).rejects.toThrow(/not allowed/);
  }
  await expect(send("00", { Action: ["destroy"] })).rejects.toThrow(/not allowed/);

  const { status, stderr } = await send("00", { Action: ["plan"], Options: ["--no-such-option"] });
  expect(status).toBe("Failed");
  expect(stderr).toMatch(/SETTINGS_INCOHERENT: Options: Unknown option '--no-such-option'/);
});

/** Sends the document to a node, and waits for the command's end. */
async function send(node: string, Parameters: Record<string, string[]>) {
  const instance = (await instances())[NODES.indexOf(node)]?.id ?? "";
  const { Command } = await ssm.send(
    new SendCommandCommand({ DocumentName: DOCUMENT, InstanceIds: [instance], Parameters }),
  );
  return eventually(async () => {
    const it = await ssm.send(new GetCommandInvocationCommand({ CommandId: Command?.CommandId, InstanceId: instance }));
    if (it.Status === "InProgress") return undefined;
    return { status: it.Status, stdout: it.StandardOutputContent ?? "", stderr: it.StandardErrorContent ?? "" };
  });
}

async function instances() {
  const groups = await sdkCloud(options()).describeGroups(manifest.nodes.map(({ group }) => group));
  return manifest.nodes.map(({ group: name }) => {
    const member = groups.find((group) => group.name === name)?.instances.at(-1);
    return { id: member?.id, version: member?.template?.version, inService: member?.lifecycle === "InService" };
  });
}
