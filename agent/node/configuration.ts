import { readFile } from "node:fs/promises";
import type { Format } from "./disk/filesystem";
import type { HeldFile } from "./files";
import type { ScriptSource } from "./script/source";

/** An EBS volume that belongs to this node. */
export interface NodeVolume {
  readonly volumeId: string;
  /** The name to attach under, e.g. "/dev/sdf". */
  readonly deviceName: string;
}

/**
 * What is made of volumes and where it appears. `filesystem` puts one filesystem on one volume; a mirrored pool with a log device
 * would be another member of this union, with the volumes of its mirrors and its log by name.
 */
export type DataLayout = {
  readonly layout: "filesystem";
  /** Name in {@link NodeConfiguration.volumes}. */
  readonly volume: string;
  /** For a blank volume; one that carries a filesystem keeps it. */
  readonly format: Format;
  readonly path: string;
  readonly options: readonly string[];
  readonly user: string;
  readonly group: string;
};

/**
 * What the launch template says about this node. The module that packs this program writes it, so the shape is held by the tests of
 * both, not checked at every boot.
 */
export interface NodeConfiguration {
  readonly cluster: string;
  /** A string, never a number: "00". */
  readonly nodeId: string;
  readonly nodeIp: string;
  readonly autoScalingGroupName: string;
  readonly launchHookName: string;
  /** The hook's HeartbeatTimeout. */
  readonly launchHookTimeoutSeconds: number;
  /** What becomes of an instance that failed: ended at once, or left for a person until its hook runs out. */
  readonly onFailure: "abandon" | "hold";
  /** How long a step may take. */
  readonly deadlineSeconds: {
    /** Getting the volumes, and making and mounting their filesystems, each. */
    readonly volumes: number;
    readonly configure: number;
    readonly health: number;
  };
  readonly volumes: Readonly<Record<string, NodeVolume>>;
  readonly data: readonly DataLayout[];
  readonly files: readonly HeldFile[];
  readonly script: ScriptSource;
}

export async function readConfiguration(path: string): Promise<NodeConfiguration> {
  return JSON.parse(await readFile(path, "utf8"));
}
