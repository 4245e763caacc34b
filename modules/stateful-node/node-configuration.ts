import { Token } from "cdktf";
import type { DataVolumeProps, NodeFileProps, StatefulNodeProps } from "./node-props";

/** Names in AWS that follow from a cluster's and a node's: promised, since users and policies refer to them. */
export const nodeNames = (cluster: string, nodeId: string) => ({
  /** Of the group and its launch template. */
  group: `${cluster}-node-${nodeId}`,
  volume: `${cluster}-data-${nodeId}`,
  interface: `${cluster}-interface-${nodeId}`,
  launchHook: `${cluster}-node-asg-hook`,
});

export const LAUNCH_HOOK_TIMEOUT_SECONDS = 3600;

/** Tag of every group and instance of a cluster: the roller changes nothing that does not carry it. */
export const CLUSTER_TAG = "holdfast:cluster";
export const DATA_DEVICE = "/dev/sdf";

export interface NodeConfigurationInput {
  readonly props: StatefulNodeProps;
  /** Id of each volume, by the name under which the layouts refer to it. */
  readonly volumeIds: Readonly<Record<string, string>>;
}

/** What the agent on the instance reads as its configuration; values may be tokens. */
export function nodeConfiguration({ props, volumeIds }: NodeConfigurationInput): Record<string, unknown> {
  const { clusterName, nodeId, deadlines = {}, files = [] } = props;
  const names = nodeNames(clusterName, nodeId);
  const volumes = volumesOf(props);
  return {
    cluster: clusterName,
    nodeId,
    nodeIp: props.nodeIp,
    autoScalingGroupName: names.group,
    launchHookName: names.launchHook,
    launchHookTimeoutSeconds: props.launchHookTimeoutSeconds ?? LAUNCH_HOOK_TIMEOUT_SECONDS,
    onFailure: props.onBootFailure ?? "hold",
    deadlineSeconds: {
      volumes: deadlines.volumesSeconds ?? 1_800,
      configure: deadlines.configureSeconds ?? 3_600,
      health: deadlines.healthSeconds ?? 14_400,
    },
    volumes: Object.fromEntries(
      Object.entries(volumes).map(([name, { deviceName = DATA_DEVICE }]) => [
        name,
        { volumeId: volumeIds[name], deviceName },
      ]),
    ),
    data: Object.entries(volumes).map(([name, volume]) => ({
      layout: "filesystem",
      volume: name,
      format: volume.format,
      path: volume.mountPath,
      options: volume.mountOptions ?? [],
      user: volume.ownerUser,
      group: volume.ownerGroup,
    })),
    files: Token.isUnresolved(files) ? files : (files as readonly NodeFileProps[]).map(heldFile),
    script: props.script,
  };
}

/** Every data volume of a node by name; `data` is the first one's. */
export function volumesOf(
  props: Pick<StatefulNodeProps, "dataVolume" | "additionalVolumes">,
): Readonly<Record<string, DataVolumeProps>> {
  return { data: props.dataVolume, ...props.additionalVolumes };
}

function heldFile({ path, user = "root", group = "root", mode, content }: NodeFileProps) {
  const secret = "secret" in content || "parameter" in content;
  return { path, user, group, mode: mode ?? (secret ? "0400" : "0644"), content };
}
