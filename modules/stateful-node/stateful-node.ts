import { AutoscalingGroup } from "@cdktf/provider-aws/lib/autoscaling-group";
import { AutoscalingLifecycleHook } from "@cdktf/provider-aws/lib/autoscaling-lifecycle-hook";
import { DataAwsDefaultTags } from "@cdktf/provider-aws/lib/data-aws-default-tags";
import { DataAwsSubnet } from "@cdktf/provider-aws/lib/data-aws-subnet";
import { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template";
import { NetworkInterface } from "@cdktf/provider-aws/lib/network-interface";
import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { addDynamicBlock } from "../publish/dynamic-block";
import { hcl } from "../publish/expressions";
import { holdsTokens } from "../user-data/json-text";
import { UserData } from "../user-data/user-data";
import { NodeAlarms } from "./node-alarms";
import { LAUNCH_HOOK_TIMEOUT_SECONDS, nodeConfiguration } from "./node-configuration";
import { CLUSTER_TAG, nodeNames } from "./node-names";
import { ROOT_DEVICE, type RootVolumeProps, type StatefulNodeProps } from "./node-props";
import { checkNode } from "./node-rules";
import { expectedVolumes, NodeVolumes } from "./node-volumes";

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html */
const GROUP_METRICS = [
  "GroupDesiredCapacity",
  "GroupInServiceInstances",
  "GroupMaxSize",
  "GroupMinSize",
  "GroupPendingInstances",
  "GroupStandbyInstances",
  "GroupTerminatingInstances",
  "GroupTotalInstances",
];

/** One node as the rolling update knows it: an entry of its manifest. Values may be tokens. */
export interface RollTarget {
  readonly id: string;
  readonly group: string;
  readonly interfaceId: string;
  readonly volumeIds: readonly string[];
  readonly zone: string;
  readonly ip: string;
  readonly template: { readonly id: string; readonly version: number };
}

/**
 * One node of a stateful cluster: an address and data that outlive every instance, and an Auto Scaling group of one that replaces
 * a lost instance with another that takes both over. The instance goes into service when the node config script says that the
 * cluster is healthy.
 *
 * The group names a zone, not a subnet, because its template names a network interface:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/create-launch-template.html#change-network-interface
 * It has no maintenance policy: one that launches before it terminates could never get the interface.
 */
export class StatefulNode extends Construct {
  /** Of the Auto Scaling group. */
  public readonly groupName: string;
  public readonly launchTemplateId: string;
  /** The newest version, which the group launches. */
  public readonly launchTemplateVersion: string;
  public readonly dataVolumeId: string;
  public readonly rollTarget: RollTarget;
  /** What the agent reads on the instance, and so what a changed template version means; values may be tokens. */
  public readonly configuration: Readonly<Record<string, unknown>>;

  /** @throws Error naming the node, the field and both values, where they cannot work together. */
  public constructor(scope: Construct, id: string, props: StatefulNodeProps) {
    super(scope, id);
    checkNode(props);
    const names = nodeNames(props.clusterName, props.nodeId);
    const subnet = new DataAwsSubnet(this, "node_subnet", { id: props.subnetId });
    const networkInterface = new NetworkInterface(this, "node_network_interface", {
      subnetId: props.subnetId,
      securityGroups: props.securityGroupIds,
      privateIps: [props.nodeIp],
      tags: { Name: names.interface },
      // The primary interface of a running instance can be neither detached nor replaced: see the group's preconditions.
      lifecycle: { ignoreChanges: ["subnet_id", "private_ips"] },
    });
    const volumes = new NodeVolumes(this, "Default", props, subnet);
    this.configuration = nodeConfiguration({ props, volumes: volumes.configuration });

    const owner = `node ${Token.isUnresolved(props.nodeId) ? "configuration" : props.nodeId}`;
    const userData = new UserData(this, "user_data", { owner, program: "node", config: this.configuration });
    this.refuseWhatDoesNotFit(props, owner);
    const template = this.launchTemplate(props, networkInterface, userData);
    const group = this.group(props, subnet, template);
    group.addOverride("lifecycle.precondition", [
      ...volumes.preconditions(props.nodeId, subnet, props.subnetId),
      {
        condition: hcl(`${networkInterface.fqn}.subnet_id == ${subnet.fqn}.id`),
        error_message: `Node ${props.nodeId}: its interface is in \${${networkInterface.fqn}.subnet_id}, not ${props.subnetId}. ${MOVE_REMEDY}`,
      },
      {
        condition: Token.asString(Fn.contains(Token.asList(networkInterface.privateIps), props.nodeIp)),
        error_message: `Node ${props.nodeId}: its interface has \${join(", ", ${networkInterface.fqn}.private_ips)}, not ${props.nodeIp}. ${MOVE_REMEDY}`,
      },
    ]);

    this.groupName = group.name;
    this.launchTemplateId = template.id;
    this.launchTemplateVersion = Token.asString(template.latestVersion);
    this.dataVolumeId = volumes.dataVolumeId;
    this.rollTarget = {
      id: props.nodeId,
      group: group.name,
      interfaceId: networkInterface.id,
      volumeIds: Token.asList(hcl(`values(${volumes.byName})[*].id`)),
      zone: subnet.availabilityZone,
      ip: props.nodeIp,
      template: { id: template.id, version: template.latestVersion },
    };
    if (props.alarms !== undefined) {
      new NodeAlarms(this, "alarms", { ...props.alarms, groupName: names.group, volumes: volumes.byName });
    }
  }

  /** The volumes' ids are all that Terraform alone knows of most nodes: what is too large with any is not left for its plan to find. */
  private refuseWhatDoesNotFit(props: StatefulNodeProps, owner: string): void {
    const volumes = expectedVolumes(props);
    if (volumes === undefined) return;
    const config = nodeConfiguration({ props, volumes });
    if (holdsTokens(config)) return;
    try {
      new UserData(this, "expected_user_data", { owner, program: "node", config });
    } catch (error) {
      throw new Error(`${(error as Error).message} ${SIZE_REMEDY}`, { cause: error });
    }
  }

  private launchTemplate(
    props: StatefulNodeProps,
    networkInterface: NetworkInterface,
    userData: UserData,
  ): LaunchTemplate {
    const root: RootVolumeProps = props.rootVolume ?? { deviceName: ROOT_DEVICE, sizeGiB: 16, type: "gp3" };
    return new LaunchTemplate(this, "node", {
      name: nodeNames(props.clusterName, props.nodeId).group,
      imageId: props.imageId,
      instanceType: props.instanceType,
      ...(props.keyName === undefined ? {} : { keyName: props.keyName }),
      userData: userData.base64,
      iamInstanceProfile: { name: props.instanceProfileName },
      networkInterfaces: [{ networkInterfaceId: networkInterface.id, deviceIndex: 0 }],
      blockDeviceMappings: [
        {
          deviceName: root.deviceName,
          ebs: {
            volumeSize: root.sizeGiB,
            volumeType: root.type,
            encrypted: "true",
            ...(root.kmsKeyArn === undefined ? {} : { kmsKeyId: root.kmsKeyArn }),
            deleteOnTermination: "true",
          },
        },
      ],
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: "required",
        httpPutResponseHopLimit: props.metadataHopLimit ?? 1,
        httpProtocolIpv6: "disabled",
      },
      monitoring: { enabled: false },
      lifecycle: {
        createBeforeDestroy: true,
        ...(userData.sizeCheck === undefined
          ? {}
          : { precondition: [{ ...userData.sizeCheck, errorMessage: SIZE_REMEDY }] }),
      },
    });
  }

  private group(props: StatefulNodeProps, subnet: DataAwsSubnet, template: LaunchTemplate): AutoscalingGroup {
    const { group: name, launchHook } = nodeNames(props.clusterName, props.nodeId);
    const defaultTags = new DataAwsDefaultTags(this, "default_tags", {});
    const hook = {
      name: launchHook,
      lifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
      defaultResult: "ABANDON",
      heartbeatTimeout: props.launchHookTimeoutSeconds ?? LAUNCH_HOOK_TIMEOUT_SECONDS,
    };
    const group = new AutoscalingGroup(this, "node_asg", {
      name,
      minSize: 1,
      maxSize: 1,
      availabilityZones: [subnet.availabilityZone],
      launchTemplate: { id: template.id, version: Token.asString(template.latestVersion) },
      initialLifecycleHook: [hook],
      enabledMetrics: GROUP_METRICS,
      metricsGranularity: "1Minute",
      waitForCapacityTimeout: props.waitForCapacity ?? "0",
    });
    addDynamicBlock(group, {
      block: "tag",
      // By these two the node's role and the roller know it: whoever else names one of them is not heard.
      forEach: Fn.merge([defaultTags.tags, props.tags ?? {}, { Name: name, [CLUSTER_TAG]: props.clusterName }]),
      content: { key: "${tag.key}", value: "${tag.value}", propagate_at_launch: true },
    });
    const { manageLaunchHook = true } = props;
    if (manageLaunchHook !== false) {
      const managed = new AutoscalingLifecycleHook(this, "launch_hook", { ...hook, autoscalingGroupName: group.name });
      if (Token.isUnresolved(manageLaunchHook)) {
        managed.addOverride("count", Fn.conditional(manageLaunchHook, 1, 0));
      }
    }
    return group;
  }
}

const SIZE_REMEDY =
  "The node's files and config script do not fit into user data (16,384 bytes compressed): put the script into S3 " +
  "(node_config_script_s3_url) and large files where the script fetches them.";

const MOVE_REMEDY =
  "The interface of a running instance cannot be replaced. Remove the node, apply, and add it again with its new address; its volume " +
  "can be kept with terraform state rm and an import block.";
