import { Annotations, Token } from "cdktf";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { nodeNames } from "../stateful-node/node-names";
import type { DataVolumeProps, NodeFileProps, NodeScriptProps, StatefulNodeProps } from "../stateful-node/node-props";
import { volumesOf } from "../stateful-node/node-rules";
import { StatefulNode } from "../stateful-node/stateful-node";
import { EbsKeyGrant } from "../worker-access/ebs-key-grant";
import { BootAlarms } from "./boot-alarms";
import { ClusterAccess } from "./cluster-access";
import { quorumWarning } from "./cluster-checks";
import { SNAPSHOT_TAG, type SnapshotSchedule, VolumeSnapshots } from "./volume-snapshots";

/** One node: its identity, and what is different about it. */
export interface ClusterNodeProps {
  /** A string such as "00", unique in the cluster. */
  readonly nodeId: string;
  /** Unique in the cluster. May be a token. */
  readonly nodeIp: string;
  /** May be a token. */
  readonly subnetId: string;
  /** May be a token. @default - the cluster's */
  readonly imageId?: string;
  /** May be a token. @default - the cluster's */
  readonly instanceType?: string;
  /** What is different about its data volume. @default - nothing */
  readonly dataVolume?: Partial<DataVolumeProps>;
  /** By name, what is different about the cluster's further volumes, and whole volumes that it alone has. @default - nothing */
  readonly additionalVolumes?: Readonly<Record<string, Partial<DataVolumeProps>>>;
  /** Beside the cluster's files. @default - none */
  readonly files?: readonly NodeFileProps[];
  /** Beside the cluster's tags. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

type SharedProps = Omit<
  StatefulNodeProps,
  "nodeId" | "nodeIp" | "subnetId" | "instanceProfileName" | "files" | "script" | "additionalVolumes"
>;

/** What the nodes share, as in {@link StatefulNodeProps}, and the nodes. */
export interface StatefulClusterProps extends SharedProps {
  readonly nodes: readonly ClusterNodeProps[];
  /** Of every node. @default - none */
  readonly files?: readonly NodeFileProps[];
  readonly script: NodeScriptProps;
  /** Of every node, by name. @default - none */
  readonly additionalVolumes?: Readonly<Record<string, DataVolumeProps>>;
  /** Of every data volume, `{}` for one a day of which seven are kept. @default - no snapshots */
  readonly snapshots?: SnapshotSchedule;
  /** ARNs of keys that encrypt secrets or scripts, beside those of the volumes. @default - none */
  readonly kmsKeyArns?: readonly string[];
}

/**
 * A cluster of nodes that keep their address and their data:
 *
 *     new StatefulCluster(this, "zk", { clusterName: "zookeeper", nodes: [{ nodeId: "00", nodeIp: "10.0.0.10", subnetId }, …], … })
 *
 * The nodes' role may do what a node does to this cluster's own volumes, instances and groups, and read the secrets and the
 * script that the configuration names; beyond that, what AmazonSSMManagedInstanceCore lets an instance do.
 *
 * @throws Error naming the cluster, the field and both values, where they cannot work together.
 */
export class StatefulCluster extends Construct {
  /** By node id. */
  public readonly nodes: ReadonlyMap<string, StatefulNode>;
  /** Of the nodes' role, for further policies. */
  public readonly roleName: string;
  /** Of the same role. */
  public readonly roleArn: string;

  public constructor(scope: Construct, id: string, props: StatefulClusterProps) {
    super(scope, id);
    const { nodes, files = [], script, kmsKeyArns = [], additionalVolumes, snapshots, ...shared } = props;
    checkNodes(props);
    const warning = quorumWarning(props.clusterName, nodes.length);
    if (warning !== undefined) Annotations.of(this).addWarning(warning);

    const marked = (volume: DataVolumeProps): DataVolumeProps =>
      snapshots === undefined ? volume : { ...volume, tags: { ...volume.tags, [SNAPSHOT_TAG]: props.clusterName } };
    const resolved = nodes.map((node) => ({
      ...shared,
      nodeId: node.nodeId,
      nodeIp: node.nodeIp,
      subnetId: node.subnetId,
      imageId: node.imageId ?? shared.imageId,
      instanceType: node.instanceType ?? shared.instanceType,
      dataVolume: marked({ ...shared.dataVolume, ...node.dataVolume }),
      ...furtherVolumes(node, additionalVolumes, marked),
      files: [...files, ...(node.files ?? [])],
      tags: { ...shared.tags, ...node.tags },
      script,
    }));
    const access = new ClusterAccess(this, "access", {
      clusterName: props.clusterName,
      volumeNames: resolved.flatMap((node) =>
        Object.keys(volumesOf(node)).map((name) => {
          const { volume } = nodeNames(props.clusterName, node.nodeId);
          return name === "data" ? volume : `${volume}-${name}`;
        }),
      ),
      groupNames: nodes.map(({ nodeId }) => nodeNames(props.clusterName, nodeId).group),
      objectArns: "s3" in script ? [AwsEnvironment.of(this).objectArn(script.s3.bucket, script.s3.key)] : [],
      secretArns: unique(resolved.flatMap((node) => node.files.map((file) => this.secretArn(file)))),
      kmsKeyArns: unique([
        ...kmsKeyArns,
        ...resolved.flatMap((node) => Object.values(volumesOf(node)).map(({ kmsKeyArn }) => kmsKeyArn)),
      ]),
    });
    if (shared.rootVolume?.kmsKeyArn !== undefined) {
      new EbsKeyGrant(this, "root_volume_key", { name: props.clusterName, kmsKeyArn: shared.rootVolume.kmsKeyArn });
    }
    if (snapshots !== undefined)
      new VolumeSnapshots(this, "snapshots", { ...snapshots, clusterName: props.clusterName });
    if (shared.alarms !== undefined) {
      new BootAlarms(this, "boot_alarms", { ...shared.alarms, clusterName: props.clusterName });
    }
    this.roleName = access.roleName;
    this.roleArn = access.roleArn;
    this.nodes = new Map(
      resolved.map((node) => [
        node.nodeId,
        new StatefulNode(this, node.nodeId, { ...node, instanceProfileName: access.instanceProfileName }),
      ]),
    );
  }

  private secretArn({ content }: NodeFileProps): string | undefined {
    if ("secret" in content) return content.secret;
    if (!("parameter" in content)) return undefined;
    return AwsEnvironment.of(this).arn("ssm", `parameter/${content.parameter.replace(/^\//, "")}`);
  }
}

const unique = (values: readonly (string | undefined)[]): string[] => [
  ...new Set(values.filter((value) => value !== undefined)),
];

/** What a volume cannot do without. */
const NEEDED = ["sizeGiB", "type", "mountPath", "format", "ownerUser", "ownerGroup"] as const;

/** Those of every node with what is different about this one, and its own; nothing where there are none. */
function furtherVolumes(
  { nodeId, additionalVolumes: own = {} }: ClusterNodeProps,
  shared: StatefulClusterProps["additionalVolumes"] = {},
  marked: (volume: DataVolumeProps) => DataVolumeProps,
): { additionalVolumes?: Readonly<Record<string, DataVolumeProps>> } {
  const names = Object.keys({ ...shared, ...own });
  if (names.length === 0) return {};
  const volumes = names.map((name) => {
    const volume = { ...shared[name], ...own[name] };
    const missing = NEEDED.filter((field) => volume[field] === undefined);
    if (missing.length > 0) {
      throw new Error(
        `node ${nodeId}: additionalVolumes.${name} is no volume of every node, so it must have ${missing.join(", ")}`,
      );
    }
    return [name, marked(volume as DataVolumeProps)] as const;
  });
  return { additionalVolumes: Object.fromEntries(volumes) };
}

/** What lies beside the nodes in the tree of constructs. */
const PARTS: readonly string[] = ["access", "boot_alarms", "root_volume_key", "snapshots"];

function checkNodes({ clusterName, nodes }: StatefulClusterProps): void {
  if (nodes.length === 0) throw new Error(`cluster ${clusterName}: nodes is empty`);
  const own = nodes.find(({ nodeId }) => PARTS.includes(nodeId));
  if (own !== undefined) {
    throw new Error(
      `cluster ${clusterName}: no node can have the nodeId ${own.nodeId}, as a part of every cluster has it`,
    );
  }
  for (const field of ["nodeId", "nodeIp"] as const) {
    const seen = new Set<string>();
    for (const { [field]: value } of nodes) {
      if (!Token.isUnresolved(value) && seen.has(value)) {
        throw new Error(`cluster ${clusterName}: two nodes have the ${field} ${value}`);
      }
      seen.add(value);
    }
  }
}
