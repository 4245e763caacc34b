import { instanceOf } from "../aws/instance-of-node";
import { instanceRefreshes } from "../aws/instance-refreshes";
import { nodeCommands } from "../aws/node-commands";
import { parameterStore } from "../aws/parameter-store";
import { sdkCloud } from "../aws/sdk-cloud";
import { sdkSystemsManager } from "../aws/sdk-systems-manager";
import { systemClock } from "../clock";
import type { Surroundings } from "./surroundings";

/** AWS through its SDK, and the terminal of this process. */
export const awsSurroundings: Surroundings = {
  connect: (manifest, roleArn) => {
    const options = { region: manifest.region, ...(roleArn === undefined ? {} : { roleArn }) };
    const cloud = sdkCloud(options);
    const ssm = sdkSystemsManager(options);
    return {
      cloud,
      store: parameterStore(manifest.cluster, ssm),
      channel: nodeCommands(ssm, systemClock, (nodeId) => instanceOf(cloud, manifest, nodeId)),
    };
  },
  refreshes: (region, roleArn) => instanceRefreshes({ region, ...(roleArn === undefined ? {} : { roleArn }) }),
  clock: systemClock,
  stdout: process.stdout,
  stderr: process.stderr,
};
