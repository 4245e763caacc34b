import { type AutoScalingClient, paginateDescribeAutoScalingGroups } from "@aws-sdk/client-auto-scaling";
import { CLUSTER_TAG } from "../../modules/stateful-node/node-names";
import type { WatchedGroup } from "./watch";

/** Every group of the emulated AWS, which holds nothing but the deployment. @param deployment its name, which pools' names begin with */
export async function readGroups(client: AutoScalingClient, deployment: string): Promise<readonly WatchedGroup[]> {
  const groups: WatchedGroup[] = [];
  const clusters = new Map<string, string>();
  for await (const { AutoScalingGroups = [] } of paginateDescribeAutoScalingGroups({ client }, {})) {
    for (const {
      AutoScalingGroupName: name = "",
      DesiredCapacity = 0,
      Instances = [],
      Tags = [],
    } of AutoScalingGroups) {
      const cluster = Tags.find(({ Key }) => Key === CLUSTER_TAG)?.Value;
      if (cluster !== undefined) clusters.set(name, cluster);
      groups.push({
        name,
        wanted: DesiredCapacity,
        node: cluster === undefined ? undefined : name.slice(`${cluster}-node-`.length),
        pool: name.replace(new RegExp(`^.*?${deployment}-`), ""),
        members: Instances.map(({ InstanceId = "", LifecycleState = "", HealthStatus }) => ({
          id: InstanceId,
          lifecycle: LifecycleState,
          healthy: HealthStatus === "Healthy",
        })),
      });
    }
  }
  // Node ids are unique in a cluster.
  if (new Set(clusters.values()).size < 2) return groups;
  return groups.map((group) =>
    group.node === undefined ? group : { ...group, node: `${clusters.get(group.name)}/${group.node}` },
  );
}
