import { readFileSync } from "node:fs";
import { join } from "node:path";
import { App, TerraformStack } from "cdktf";
import { USER_DATA_LIMIT_BYTES, UserData } from "../../../modules/user-data/user-data";
import type { Machine, Machines } from "../../../scripts/emulator/machines";
import { containerMachines } from "../../../scripts/rehearse/machines/container-machines";
import { type Instance, instanceOf, launchedInstance } from "../../support/instance/instance";
import { useLab } from "../../support/instance/lab";
import { nodeConfiguration } from "../../support/node-agent";
import { type NodeCloud, startNodeCloud } from "../../support/node-cloud";

const VOLUME = "vol-0123456789abcdef0";
const SCRIPT = readFileSync(join(__dirname, "../../../examples/etcd/node-config-script.sh"), "utf8");

const bench = useLab();
let machines: Machines;
let cloud: NodeCloud;
let machine: Machine;

/** What the launch template of a cluster of one holds. */
function userData(nodeIp: string): Buffer {
  const file = { user: "root", group: "root", mode: "0644" };
  const { base64 } = new UserData(new TerraformStack(new App(), "stack"), "user-data", {
    owner: "node 00",
    program: "node",
    config: {
      ...nodeConfiguration(VOLUME, "/data", "", {
        nodeIp,
        script: { text: SCRIPT },
        deadlineSeconds: { volumes: 300, configure: 300, health: 300 },
        files: [{ ...file, path: "/etc/holdfast/etcd-members", content: { text: `00 ${nodeIp}\n` } }],
      }),
      data: [
        {
          layout: "filesystem",
          volume: "data",
          format: "xfs",
          path: "/data",
          options: ["noatime"],
          user: "etcd",
          group: "etcd",
        },
      ],
    },
  });
  return Buffer.from(base64, "base64");
}

afterEach(async () => {
  await machines?.stop();
  await cloud?.close();
});

/** A machine that EC2 has just launched from the template, its volume still in the cloud. */
async function launch(): Promise<Instance> {
  const { hostAddress: host } = bench.lab().network;
  const privateIp = `10.${bench.lab().id}.0.10`;
  cloud = await startNodeCloud({
    volume: { volumeId: VOLUME, sizeGiB: 1, appear: () => void machine.attach(VOLUME, "/dev/sdf") },
    aws: { host },
    imds: { host, privateIp },
  });
  const document = userData(privateIp);
  expect(document.length).toBeLessThanOrEqual(USER_DATA_LIMIT_BYTES);
  cloud.imds.set("user-data", document);
  machines = await containerMachines({
    lab: bench.lab(),
    image: bench.image(),
    metadataPort: cloud.imds.port,
    environment: () => ({ AWS_ENDPOINT_URL: cloud.aws.endpoint }),
  });
  await machines.createVolume(VOLUME, 1);
  machine = await machines.start(launchedInstance(privateIp));
  return instanceOf(machine);
}

test("R5: a node's user data boots under cloud-init and systemd to a healthy member in service, and a reboot brings it back with its data", async () => {
  // WHEN
  const node = await launch();
  await node.until("the node is in service", () => cloud.lifecycleState === "InService");

  // THEN every step has run, in the unit that a person finds
  const status = async () => {
    const found = await node.exec("holdfast-node", "status", "--json");
    return found.startsWith("{") ? JSON.parse(found) : {};
  };
  await node.until("the boot has ended", async () => (await status()).outcome === "ready");
  expect(await node.exec("holdfast-node", "status")).toContain("ready");
  expect(await node.exec("systemctl", "is-active", "holdfast-node.service")).toBe("active");
  expect(cloud.attachments).toEqual(["i-0a1b2c3d4e5f60718"]);
  expect(cloud.effectiveCompletions).toBe(1);
  expect(await machine.console()).toMatch(/holdfast-node: node 00 ready/);

  // AND etcd keeps what it acknowledges on the node's volume
  expect(await node.exec("findmnt", "--noheadings", "--output=FSTYPE,SOURCE", "/data")).toMatch(/^xfs\s+\/dev\/loop/);
  expect(await node.exec("etcdctl", "put", "colour", "blue")).toBe("OK");

  // WHEN the operating system restarts
  await machine.reboot();

  // THEN the volume is mounted and the member answers, without another completion of the hook
  await node.until("etcd answers", async () => /colour\s+blue/.test(await node.exec("etcdctl", "get", "colour")));
  await node.until("the boot has run again", async () =>
    /active/.test(await node.exec("systemctl", "is-active", "holdfast-node.service")),
  );
  expect(await node.exec("findmnt", "--noheadings", "--output=FSTYPE", "/data")).toBe("xfs");
  expect((await status()).outcome).toBe("ready");
  expect(cloud.attachments).toHaveLength(1);
  expect(cloud.effectiveCompletions).toBe(1);
});
