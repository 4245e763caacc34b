import { Token } from "cdktf";
import { nodeNames } from "./node-names";
import type { NodeFileProps, StatefulNodeProps } from "./node-props";
import type { NodeVolumes } from "./node-volumes";

export const LAUNCH_HOOK_TIMEOUT_SECONDS = 3600;

export interface NodeConfigurationInput {
  readonly props: StatefulNodeProps;
  readonly volumes: NodeVolumes["configuration"];
}

/** What the agent on the instance reads as its configuration; values may be tokens. */
export function nodeConfiguration({ props, volumes }: NodeConfigurationInput): Record<string, unknown> {
  const { clusterName, nodeId, deadlines = {}, files = [] } = props;
  const names = nodeNames(clusterName, nodeId);
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
    ...volumes,
    files: Token.isUnresolved(files) ? files : (files as readonly NodeFileProps[]).map(heldFile),
    script: props.script,
  };
}

function heldFile({ path, user = "root", group = "root", mode, content }: NodeFileProps) {
  const secret = "secret" in content || "parameter" in content;
  return { path, user, group, mode: mode ?? (secret ? "0400" : "0644"), content };
}
