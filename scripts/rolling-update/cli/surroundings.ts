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
  /** How the events of a roll are told. */
  readonly telling: (stdout: NodeJS.WriteStream, manifest: Manifest, json: boolean) => RollPorts["report"];
  /** Where the roller runs on a node of the cluster: the node's own turn is another's. */
  readonly node?: {
    readonly instanceId: string;
    /** Has one of the nodes go on with the roll, and gives its id. @throws RollError HANDOVER_FAILED */
    readonly handOn: (ports: RollPorts, manifest: Manifest, successors: readonly string[]) => Promise<string>;
  };
  /** Instead of the one the settings describe. */
  readonly probe?: ClusterProbe;
}
