import { instanceOf } from "../aws/instance-of-node";
import { nodeCommands } from "../aws/node-commands";
import { parameterStore } from "../aws/parameter-store";
import { type SdkOptions, sdkCloud } from "../aws/sdk-cloud";
import { sdkSystemsManager } from "../aws/sdk-systems-manager";
import { systemClock } from "../clock";
import type { Manifest } from "../manifest";
import type { Connected } from "./surroundings";

/** A cluster's account through the SDK. */
export function sdkConnection(manifest: Manifest, given: Omit<SdkOptions, "region"> = {}): Connected {
  const options = { region: manifest.region, ...given };
  const cloud = sdkCloud(options);
  const ssm = sdkSystemsManager(options);
  return {
    cloud,
    store: parameterStore(manifest.cluster, ssm),
    channel: nodeCommands(ssm, systemClock, (nodeId) => instanceOf(cloud, manifest, nodeId)),
  };
}
