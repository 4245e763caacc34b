import type { IResolvable } from "cdktf";
import type { NodeAlarmsProps, NodeAlarmThresholds } from "./node-alarms";

/** A filesystem that a blank data volume may get. */
export type DataFormat = "ext4" | "xfs";

/** The name that a data volume is attached under unless another is given. */
export const DATA_DEVICE = "/dev/sdf";

/** The name of the root volume unless another is given: that of Amazon Linux and Debian. Ubuntu's is /dev/sda1. */
export const ROOT_DEVICE = "/dev/xvda";

/** An EBS volume that belongs to a node and outlives its instances. Values may be tokens. */
export interface DataVolumeProps {
  /** Name to attach under, see https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html. @default "/dev/sdf" */
  readonly deviceName?: string;
  readonly sizeGiB: number;
  /** EBS volume type. */
  readonly type: string;
  /** @default - the volume type's own */
  readonly iops?: number;
  /** MiB per second, for gp3. @default - the volume type's own */
  readonly throughput?: number;
  /** ARN of the key that encrypts it. @default - the account's default key for EBS */
  readonly kmsKeyArn?: string;
  readonly mountPath: string;
  /** For a blank volume; one that carries a filesystem keeps it. */
  readonly format: DataFormat;
  /** As in `mount -o`. @default - none */
  readonly mountOptions?: readonly string[];
  readonly ownerUser: string;
  readonly ownerGroup: string;
  /** Beside Name. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

export interface RootVolumeProps {
  readonly deviceName: string;
  readonly sizeGiB: number;
  readonly type: string;
  /** ARN of the key that encrypts it; the Auto Scaling service needs a grant for it. @default - the account's default key for EBS */
  readonly kmsKeyArn?: string;
}

/** A file placed before the node config script runs. */
export interface NodeFileProps {
  readonly path: string;
  /** @default "root" */
  readonly user?: string;
  /** @default "root" */
  readonly group?: string;
  /** Octal. @default "0644", "0400" for a secret */
  readonly mode?: string;
  readonly content:
    | { readonly text: string }
    | { readonly base64: string }
    /** ARN of a secret in Secrets Manager, read by the instance. */
    | { readonly secret: string }
    /** Name of an SSM parameter, read by the instance. */
    | { readonly parameter: string };
}

/** Where the node config script comes from. */
export type NodeScriptProps =
  | { readonly text: string }
  | { readonly base64: string }
  | {
      readonly s3: {
        readonly bucket: string;
        readonly key: string;
        /** Null reads the current version: a changed script then is no new template version. */
        readonly versionId: string | null;
        /** Hexadecimal SHA-256 of the script; null trusts the version. */
        readonly sha256: string | null;
      };
    };

/** How long a boot may take, step by step. */
export interface BootDeadlines {
  /** To get the volumes, and to make and mount their filesystems, each. @default 1800 */
  readonly volumesSeconds?: number;
  /** For configure_cluster_node. @default 3600 */
  readonly configureSeconds?: number;
  /** For wait_for_healthy_cluster; the launch hook is prolonged meanwhile. @default 14400 */
  readonly healthSeconds?: number;
}

export interface StatefulNodeProps {
  /** Name of the cluster; begins the name of everything of the node. May be a token. */
  readonly clusterName: string;
  /** Identity in the cluster, a string such as "00". May be a token. */
  readonly nodeId: string;
  /** Fixed private address, free in the subnet. May be a token. */
  readonly nodeIp: string;
  /** Decides the zone of instance, interface and volumes. May be a token. */
  readonly subnetId: string;
  /** May be a token. */
  readonly imageId: string;
  /** May be a token. */
  readonly instanceType: string;
  /** May be a token. @default - no key pair: sessions go through SSM */
  readonly keyName?: string;
  /** One or more; may be a token, as a whole. */
  readonly securityGroupIds: string[];
  /** May be a token. */
  readonly instanceProfileName: string;
  readonly dataVolume: DataVolumeProps;
  /**
   * By name: letters, digits and dashes, and not `data`. A token only as a whole, whose values then may have null for what is optional.
   * @default - none
   */
  readonly additionalVolumes?: Readonly<Record<string, DataVolumeProps>> | IResolvable;
  /** @default - 16 GiB of gp3 as /dev/xvda */
  readonly rootVolume?: RootVolumeProps;
  /** May be a token, as a whole. @default - none */
  readonly files?: readonly NodeFileProps[] | IResolvable;
  /** May be a token, as a whole. */
  readonly script: NodeScriptProps | IResolvable;
  /** Seconds without a sign of life after which the group gives the instance up: 30 to 7200. @default 3600 */
  readonly launchHookTimeoutSeconds?: number;
  readonly deadlines?: BootDeadlines;
  /** What becomes of an instance whose boot failed: left for a person until its hook runs out, or ended at once. @default "hold" */
  readonly onBootFailure?: "hold" | "abandon";
  /** Network hops that an answer of the metadata service survives: 2 for containers. @default 1 */
  readonly metadataHopLimit?: number;
  /** Of the instance and the group, beside Name; may be a token, as a whole. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * How long `terraform apply` waits for the first instance, e.g. "15m". Members of a new cluster wait for each other, and Terraform
   * makes ten groups at a time.
   * @default "0": it does not wait
   */
  readonly waitForCapacity?: string;
  /**
   * Whether the launch hook is also a resource of its own, so that a later change of its timeout reaches the group: the hook that a group
   * is made with is never looked at again. May be a token.
   * @default true
   */
  readonly manageLaunchHook?: boolean;
  /** @default - none */
  readonly alarms?: NodeAlarmThresholds & Pick<NodeAlarmsProps, "topicArns" | "enabled">;
  /** Whether Terraform refuses to destroy the data volumes; a literal. @default true */
  readonly preventDestroy?: boolean;
  /** Whether a data volume that is destroyed leaves a snapshot. @default false */
  readonly finalSnapshot?: boolean;
}
