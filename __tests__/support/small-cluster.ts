import { StatefulCluster, type StatefulClusterProps } from "../../modules/stateful-cluster/stateful-cluster";
import { type Attributes, type Synthesized, synthesize, synthesizedResources } from "./synthesize";

export const clusterNode = (nodeId: string) => ({ nodeId, nodeIp: `10.0.0.1${nodeId}`, subnetId: "subnet-1" });

/** A cluster that says no more than it must. */
export const SMALL_CLUSTER: StatefulClusterProps = {
  clusterName: "zookeeper",
  imageId: "ami-0123456789abcdef0",
  instanceType: "t3.small",
  securityGroupIds: ["sg-1"],
  nodes: [clusterNode("00"), clusterNode("01"), clusterNode("02")],
  dataVolume: {
    sizeGiB: 20,
    type: "gp3",
    mountPath: "/data",
    format: "xfs",
    ownerUser: "zookeeper",
    ownerGroup: "zookeeper",
  },
  script: { text: "configure_cluster_node() { :; }\nwait_for_healthy_cluster() { :; }\n" },
};

/** A second data volume of {@link SMALL_CLUSTER}'s nodes. */
export const WAL = { ...SMALL_CLUSTER.dataVolume, deviceName: "/dev/sdg", mountPath: "/wal", sizeGiB: 8 };

/** Synthesizes {@link SMALL_CLUSTER} with a change. */
export const synthesizedCluster = (change: Partial<StatefulClusterProps> = {}): Synthesized =>
  synthesize((scope) => void new StatefulCluster(scope, "zk", { ...SMALL_CLUSTER, ...change }));

/** The first node's resource of a type. */
export function ofFirstNode(change: Partial<StatefulClusterProps>, type: string): Attributes {
  const [first] = synthesizedResources(synthesizedCluster(change), type);
  if (first === undefined) throw new Error(`the cluster has no ${type}`);
  return first.attributes;
}
