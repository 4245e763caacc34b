/** Names in AWS that follow from a cluster's and a node's: promised, since users and policies refer to them. */
export const nodeNames = (cluster: string, nodeId: string) => ({
  /** Of the group and its launch template. */
  group: `${cluster}-node-${nodeId}`,
  volume: `${cluster}-data-${nodeId}`,
  interface: `${cluster}-interface-${nodeId}`,
  launchHook: `${cluster}-node-asg-hook`,
});

/** Tag of every group and instance of a cluster: the roller changes nothing that does not carry it. */
export const CLUSTER_TAG = "holdfast:cluster";
