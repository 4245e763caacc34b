import { instanceRefreshes } from "../aws/instance-refreshes";
import { nodeCommands } from "../aws/node-commands";
import { parameterStore } from "../aws/parameter-store";
import { sdkCloud } from "../aws/sdk-cloud";
import { systemClock } from "../clock";
import type { Cloud } from "../cloud";
import type { InstanceRefreshes } from "../fleet/instance-refresh";
import type { Manifest } from "../manifest";
import type { NodeChannel } from "../node-channel";
import type { ClusterProbe } from "../probe";
import type { RollPorts } from "../roll-ports";

/** What a command reaches of a cluster's account. */
export interface Connected {
  readonly cloud: RollPorts["cloud"];
  readonly store: RollPorts["store"];
  readonly channel: NodeChannel;
}

/** Where the commands reach AWS and the terminal; tests put the simulator there. */
export interface Surroundings {
  readonly connect: (manifest: Manifest, roleArn: string | undefined) => Connected;
  readonly refreshes: (region: string, roleArn: string | undefined) => InstanceRefreshes;
  readonly clock: RollPorts["clock"];
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Instead of the one the settings describe. */
  readonly probe?: ClusterProbe;
}

export const awsSurroundings: Surroundings = {
  connect: (manifest, roleArn) => {
    const options = { region: manifest.region, ...(roleArn === undefined ? {} : { roleArn }) };
    const cloud = sdkCloud(options);
    return {
      cloud,
      store: parameterStore(manifest.cluster, options),
      channel: nodeCommands(options, systemClock, (nodeId) => instanceOf(cloud, manifest, nodeId)),
    };
  },
  refreshes: (region, roleArn) => instanceRefreshes({ region, ...(roleArn === undefined ? {} : { roleArn }) }),
  clock: systemClock,
  stdout: process.stdout,
  stderr: process.stderr,
};

async function instanceOf(cloud: Cloud, { nodes }: Manifest, nodeId: string): Promise<string | undefined> {
  const node = nodes.find(({ id }) => id === nodeId);
  const [group] = node === undefined ? [] : await cloud.describeGroups([node.group]);
  return group?.instances.filter(({ lifecycle }) => !lifecycle.startsWith("Terminat")).at(-1)?.id;
}
