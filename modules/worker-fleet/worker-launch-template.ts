import { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template";
import { Construct } from "constructs";
import type { UserData } from "../user-data/user-data";
import { compact } from "./compact";
import type { UnsafeOptions } from "./unsafe-options";

export interface WorkerLaunchTemplateProps {
  /** Name of the template in AWS; may be a token. */
  readonly name: string;
  /** AMI id; may be a token. */
  readonly imageId: string;
  /** Type of an instance that no override of the group gives another one; may be a token. */
  readonly instanceType: string;
  /** May be a token. */
  readonly instanceProfileArn: string;
  /** May hold tokens. */
  readonly securityGroupIds: string[];
  /** What boots: at most 16,384 bytes, which Terraform checks where only it knows them. */
  readonly userData: Pick<UserData, "base64" | "sizeCheck">;
  readonly rootVolume: RootVolumeProps;
  /**
   * Name of the EC2 key pair that may log in through SSH.
   * @default - none: shell access is through Session Manager
   */
  readonly keyName?: string;
  /**
   * Metrics of an instance every minute instead of every five.
   * @default false
   */
  readonly detailedMonitoring?: boolean;
  /**
   * Whether EC2 can hibernate its instances: only an instance that was launched so can be.
   * @default false
   */
  readonly hibernation?: boolean;
  /** Tags of the template and of the volumes and network interfaces it makes; instances get theirs from the group. */
  readonly tags: Readonly<Record<string, string>>;
  /**
   * Protections given up.
   * @default - none
   */
  readonly unsafe?: UnsafeOptions;
}

export interface RootVolumeProps {
  /** May be a token. */
  readonly sizeGiB: number;
  /**
   * Root device of the AMI.
   * @default "/dev/xvda", that of Amazon Linux
   */
  readonly deviceName?: string;
  /**
   * Provisioned operations per second.
   * @default - 3,000, the baseline of gp3
   */
  readonly iops?: number;
  /**
   * Provisioned throughput.
   * @default - 125 MiB/s, the baseline of gp3
   */
  readonly throughputMiBps?: number;
  /**
   * Customer managed key; the Auto Scaling service-linked role must have a grant on it.
   * @default - the account's aws/ebs key
   */
  readonly kmsKeyArn?: string;
}

/**
 * The launch template of a pool, for one architecture: what boots is what was planned, so every change of agent,
 * configuration or AMI is a new version of it.
 */
export class WorkerLaunchTemplate extends Construct {
  public readonly templateId: string;
  /** Number of the newest version, a token. A group that names `$Latest` instead is never refreshed by a change. */
  public readonly latestVersion: string;
  public readonly templateName: string;
  public readonly resource: LaunchTemplate;

  public constructor(scope: Construct, id: string, props: WorkerLaunchTemplateProps) {
    super(scope, id);
    const { userData, unsafe = {} } = props;

    this.resource = new LaunchTemplate(this, "template", {
      name: props.name,
      imageId: props.imageId,
      instanceType: props.instanceType,
      ...compact({ keyName: props.keyName }),
      userData: userData.base64,
      updateDefaultVersion: true,
      instanceInitiatedShutdownBehavior: "terminate",
      iamInstanceProfile: { arn: props.instanceProfileArn },
      networkInterfaces: [
        {
          deviceIndex: 0,
          associatePublicIpAddress: "false",
          deleteOnTermination: "true",
          securityGroups: props.securityGroupIds,
        },
      ],
      blockDeviceMappings: [rootDevice(props.rootVolume, unsafe)],
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: unsafe.imdsv1 === true ? "optional" : "required",
        httpPutResponseHopLimit: unsafe.imdsHopLimit ?? 1,
        instanceMetadataTags: "disabled",
      },
      monitoring: { enabled: props.detailedMonitoring ?? false },
      ...compact({ hibernationOptions: props.hibernation === true ? { configured: true } : undefined }),
      tagSpecifications: ["volume", "network-interface"].map((resourceType) => ({ resourceType, tags: props.tags })),
      tags: props.tags,
      ...compact({ lifecycle: userData.sizeCheck && { precondition: [userData.sizeCheck] } }),
    });
    this.templateId = this.resource.id;
    this.templateName = this.resource.name;
    this.latestVersion = this.resource.getStringAttribute("latest_version");
  }
}

function rootDevice(volume: RootVolumeProps, unsafe: UnsafeOptions) {
  return {
    deviceName: volume.deviceName ?? "/dev/xvda",
    ebs: {
      volumeType: "gp3",
      volumeSize: volume.sizeGiB,
      deleteOnTermination: "true",
      encrypted: String(unsafe.unencryptedRootVolume !== true),
      ...compact({ iops: volume.iops, throughput: volume.throughputMiBps, kmsKeyId: volume.kmsKeyArn }),
    },
  };
}
