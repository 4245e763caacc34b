import { instanceOf } from "../rolling-update/aws/instance-of-node";
import { nodeCommands } from "../rolling-update/aws/node-commands";
import { parameterStore } from "../rolling-update/aws/parameter-store";
import { sdkCloud } from "../rolling-update/aws/sdk-cloud";
import { sdkSystemsManager } from "../rolling-update/aws/sdk-systems-manager";
import { systemClock } from "../rolling-update/clock";
import type { Cloud } from "../rolling-update/cloud";
import type { Manifest } from "../rolling-update/manifest";
import type { NodeChannel } from "../rolling-update/node-channel";
import type { Store } from "../rolling-update/store";

/** A cluster of the emulated AWS, as the rolling update reaches it. */
export function clusterConnection(
  manifest: Manifest,
  endpoint: string,
): { readonly cloud: Cloud; readonly store: Store; readonly channel: NodeChannel } {
  const options = { region: manifest.region, endpoint };
  const cloud = sdkCloud(options);
  const ssm = sdkSystemsManager(options);
  return {
    cloud,
    store: parameterStore(manifest.cluster, ssm),
    channel: nodeCommands(ssm, systemClock, (nodeId) => instanceOf(cloud, manifest, nodeId)),
  };
}
