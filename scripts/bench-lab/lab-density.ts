import { CreateSubnetCommand, CreateVpcCommand, EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2";
import type { Bench, Measurement } from "../bench/bench";
import { until } from "../chaos/until";
import { type ContainerCloud, openContainerCloud } from "../rehearse/cloud/container-cloud";
import { CLUSTER_PACKAGES, instanceImage } from "../rehearse/machines/image/image";
import { machinesIn, memoryOf } from "../rehearse/machines/machine-memory";
import { missingCommands, TEST_TIERS } from "../test-tiers";

/** As many as need no higher limit of inotify instances. */
const MANY = 20;
const GIB = 24;
const PATIENCE_MS = 600_000;
const ZONE = "us-west-2a";

interface Fill {
  readonly name: string;
  readonly nodes: number;
  /** What each starts once it has booted. */
  readonly service?: "etcd" | "zookeeper";
}

const FILLS: readonly Fill[] = [
  { name: "one node", nodes: 1 },
  { name: `${MANY} nodes`, nodes: MANY },
  { name: "3 with etcd", nodes: 3, service: "etcd" },
  { name: "3 with ZooKeeper", nodes: 3, service: "zookeeper" },
];

/** What a node of the lab takes of this machine, and so how many there can be. */
export const labDensity: Bench = {
  name: "lab-density",
  about: `memory of the lab's nodes once they have booted, each kind in a lab of its own, and how many fit into ${GIB} GiB`,
  run: async (progress) => {
    const missing = TEST_TIERS.filter(({ name }) => name === "podman").flatMap(missingCommands);
    if (missing.length > 0) {
      progress(`not measured: it needs ${missing.join(", ")}`);
      return [];
    }
    const image = await instanceImage(Object.values(CLUSTER_PACKAGES).flat());
    const measurements: Measurement[] = [];
    for (const fill of FILLS) {
      progress(fill.name);
      measurements.push(await measure(image, fill));
    }
    return measurements;
  },
};

async function measure(image: string, fill: Fill): Promise<Measurement> {
  const cloud = await openContainerCloud({ image });
  try {
    const startedMs = performance.now();
    const ids = await launch(cloud, fill);
    for (const id of ids) await until(`${id} has booted`, PATIENCE_MS, () => booted(cloud, id, fill));
    const bootMs = performance.now() - startedMs;

    const memories = await Promise.all(ids.map((id) => memoryOf(cloud.lab, id)));
    const mean = (of: (memory: (typeof memories)[number]) => number) =>
      memories.reduce((sum, memory) => sum + of(memory), 0) / memories.length;
    const workingSetMiB = mean((memory) => memory.workingSetMiB);
    return {
      case: fill.name,
      figures: {
        "MiB each": workingSetMiB,
        "with cache": mean((memory) => memory.totalMiB),
        [`in ${GIB} GiB`]: machinesIn(GIB, { workingSetMiB }),
        "all boot in ms": bootMs,
      },
    };
  } finally {
    await cloud.close();
  }
}

async function launch({ aws, network }: ContainerCloud, { nodes, service }: Fill): Promise<string[]> {
  const credentials = { accessKeyId: "emulator", secretAccessKey: "emulator" };
  const ec2 = new EC2Client({ region: ZONE.slice(0, -1), endpoint: aws.url, credentials });
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: network }));
  const { Subnet } = await ec2.send(
    new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock: network, AvailabilityZone: ZONE }),
  );
  const script = ["#!/bin/sh", ...(service ? [`systemctl start ${service}`] : []), ""].join("\n");
  const { Instances = [] } = await ec2.send(
    new RunInstancesCommand({
      ImageId: "ami-0123456789abcdef0",
      MinCount: nodes,
      MaxCount: nodes,
      SubnetId: Subnet?.SubnetId,
      UserData: Buffer.from(script).toString("base64"),
    }),
  );
  return Instances.map(({ InstanceId = "" }) => InstanceId);
}

/** @throws CommandFailed while it has not. */
async function booted(cloud: ContainerCloud, instanceId: string, { service }: Fill): Promise<true | undefined> {
  const active = service ? ` && systemctl is-active --quiet ${service}` : "";
  const answer = await cloud.machineOf(instanceId)?.exec("sh", "-c", `test -e /run/cloud-init/result.json${active}`);
  return answer === undefined ? undefined : true;
}
