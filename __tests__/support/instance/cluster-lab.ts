import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import { writeModule } from "../../../modules/publish/write-module";
import { STATEFUL_CLUSTER_MODULE } from "../../../modules/stateful-cluster/published-module";
import type { Machine } from "../../../scripts/emulator/machines";
import { type Terraform, terraformIn } from "../../../scripts/emulator/terraform";
import { type ContainerCloud, openContainerCloud } from "../../../scripts/rehearse/cloud/container-cloud";
import type { CLUSTER_PACKAGES } from "../../../scripts/rehearse/machines/image/image";
import { machinesIn, memoryOf } from "../../../scripts/rehearse/machines/machine-memory";
import { clusterImage } from "./lab";
import { PATIENCE_MS, until } from "./until";

const REGION = "us-west-2";

/** A node as its group shows it. */
export interface LabNode {
  readonly nodeId: string;
  readonly group: string;
  readonly address: string;
  readonly instanceId: string | undefined;
  readonly lifecycle: string | undefined;
}

/** The example of the published module of a stateful cluster, in a cloud whose instances are containers. */
export interface ClusterLab {
  readonly cloud: () => ContainerCloud;
  readonly terraform: () => Terraform;
  /** Applies the example, and waits until every node is in service and the cluster is healthy. */
  create(isHealthy: () => Promise<boolean>): Promise<void>;
  /** Inputs of the module over those of the example, for the next apply. */
  release(inputs: Readonly<Record<string, unknown>>): void;
  nodes(): Promise<readonly LabNode[]>;
  machine(nodeId: string): Promise<Machine>;
  /** Waits until a condition holds. @throws Error with every node's console where it never does. */
  until(what: string, holds: () => Promise<boolean>): Promise<void>;
  inService(): Promise<void>;
  /** Adds figures to what is printed when the tests of the file are over. */
  measured(figures: Readonly<Record<string, unknown>>): void;
}

/** Gives the tests of a file one cluster of three nodes, not applied yet. */
export function useClusterLab(example: keyof typeof CLUSTER_PACKAGES): ClusterLab {
  jest.setTimeout(6 * PATIENCE_MS);
  let cloud: ContainerCloud | undefined;
  let directory = "";
  let terraform: Terraform | undefined;
  const figures: Record<string, unknown> = {};
  const started = <T>(it: T | undefined): T => {
    if (it === undefined) throw new Error("the lab is open from beforeAll on");
    return it;
  };
  const network = () => `10.${started(cloud).lab.id}.0.0/24`;
  const override = (inputs: Readonly<Record<string, unknown>>) =>
    writeFileSync(
      join(directory, "examples", example, "release_override.tf.json"),
      JSON.stringify({
        resource: { aws_vpc: { [example]: { cidr_block: network() } } },
        module: { [example]: { default_data_volume: dataVolume(example), ...inputs } },
      }),
    );

  beforeAll(async () => {
    cloud = await openContainerCloud({ image: await clusterImage() });
    directory = mkdtempSync(join(tmpdir(), "holdfast-cluster-"));
    writeModule(STATEFUL_CLUSTER_MODULE, directory);
    terraform = terraformIn(join(directory, "examples", example), cloud.aws);
    override({});
    await terraform.init();
  }, 4 * PATIENCE_MS);
  afterAll(async () => {
    measured(await memory().catch((error: Error) => ({ "memory of a node": error.message })));
    console.log(example, figures);
    await cloud?.close();
    if (directory !== "") rmSync(directory, { recursive: true });
  });

  const nodes = async (): Promise<LabNode[]> => {
    const client = new AutoScalingClient({
      region: REGION,
      endpoint: started(cloud).aws.url,
      credentials: { accessKeyId: "emulator", secretAccessKey: "emulator" },
    });
    const { AutoScalingGroups = [] } = await client.send(new DescribeAutoScalingGroupsCommand({}));
    const groups = AutoScalingGroups.map(({ AutoScalingGroupName = "", Instances = [] }) => {
      const nodeId = AutoScalingGroupName.slice(-2);
      const instance = Instances.find(({ LifecycleState = "" }) => !LifecycleState.startsWith("Terminat"));
      return {
        nodeId,
        group: AutoScalingGroupName,
        address: `10.${started(cloud).lab.id}.0.${Number(nodeId) * 16 + 10}`,
        instanceId: instance?.InstanceId,
        lifecycle: instance?.LifecycleState,
      };
    });
    return groups.sort((a, b) => a.nodeId.localeCompare(b.nodeId));
  };
  const machine = async (nodeId: string): Promise<Machine> => {
    const { instanceId = "" } = (await nodes()).find((node) => node.nodeId === nodeId) ?? {};
    const found = started(cloud).machineOf(instanceId);
    if (found === undefined) throw new Error(`node ${nodeId} has no machine`);
    return found;
  };
  const consoles = async () => {
    const texts = (await nodes()).map(async ({ nodeId, instanceId = "", lifecycle }) => {
      const text = await cloud?.machineOf(instanceId)?.console();
      return `node ${nodeId}, ${instanceId} ${lifecycle}:\n${text?.slice(-3_000) ?? "no machine"}`;
    });
    return (await Promise.all(texts)).join("\n");
  };
  /** Of the nodes as the tests leave them. */
  const memory = async () => {
    const { lab } = started(cloud);
    const all = await Promise.all((await nodes()).map(({ instanceId = "" }) => memoryOf(lab, instanceId)));
    const largest = all.reduce((one, other) => (other.workingSetMiB > one.workingSetMiB ? other : one));
    return {
      "memory of the largest node MiB": Math.round(largest.workingSetMiB),
      "the same with page cache MiB": Math.round(largest.totalMiB),
      "such nodes in 24 GiB": machinesIn(24, largest),
    };
  };
  const measured = (more: Readonly<Record<string, unknown>>) => void Object.assign(figures, more);
  const inService = () =>
    patiently("every node is in service", async () =>
      (await nodes()).every(({ lifecycle }) => lifecycle === "InService"),
    );
  const patiently = (what: string, holds: () => Promise<boolean>) => until(what, holds, consoles);
  return {
    cloud: () => started(cloud),
    terraform: () => started(terraform),
    create: async (isHealthy) => {
      const startedMs = Date.now();
      await started(terraform).apply();
      const appliedMs = Date.now();
      await inService();
      await patiently("the cluster is healthy", isHealthy);
      measured({ "apply ms": appliedMs - startedMs, "applied to healthy ms": Date.now() - appliedMs });
    },
    release: override,
    nodes,
    machine,
    measured,
    until: patiently,
    inService,
  };
}

/** Small: formatting writes to the whole of it. */
function dataVolume(owner: string) {
  return {
    size_in_gibs: 1,
    type: "gp3",
    mount_path: "/data",
    mount_params: ["noatime"],
    file_system_type: "xfs",
    mount_path_owner_user: owner,
    mount_path_owner_group: owner,
  };
}
