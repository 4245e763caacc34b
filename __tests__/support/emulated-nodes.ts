import { AutoScalingClient, CreateAutoScalingGroupCommand } from "@aws-sdk/client-auto-scaling";
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  CreateNetworkInterfaceCommand,
  CreateVolumeCommand,
  DescribeImagesCommand,
  DescribeSubnetsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import type { Manifest, ManifestNode } from "../../scripts/rolling-update/manifest";

const CLUSTER = "orders";

export interface EmulatedNodes {
  readonly region: string;
  readonly endpoint: string;
  readonly ids: readonly string[];
  /** Of the two versions of its template, the one that a group launches. */
  readonly version: 1 | 2;
  /** Told of each node before its group is made, and so before it boots. */
  readonly onNode?: (node: ManifestNode) => void;
}

/** Nodes as the stateful module makes them, as far as rolling them goes; the manifest says version 2. */
export async function deployNodes({ region, endpoint, ids, version, onNode }: EmulatedNodes): Promise<Manifest> {
  const zone = `${region}a`;
  const ec2 = new EC2Client({ region, endpoint });
  const autoScaling = new AutoScalingClient({ region, endpoint });
  const Filters = [{ Name: "availability-zone", Values: [zone] }];
  const SubnetId = (await ec2.send(new DescribeSubnetsCommand({ Filters }))).Subnets?.[0]?.SubnetId;
  const ImageId = (await ec2.send(new DescribeImagesCommand({ Owners: ["amazon"] }))).Images?.[0]?.ImageId;
  const tag = { key: "holdfast:cluster", value: CLUSTER };
  const nodes: ManifestNode[] = [];
  for (const id of ids) {
    const group = `${CLUSTER}-node-${id}`;
    const { NetworkInterface } = await ec2.send(new CreateNetworkInterfaceCommand({ SubnetId }));
    const { VolumeId = "" } = await ec2.send(new CreateVolumeCommand({ AvailabilityZone: zone, Size: 8 }));
    const { NetworkInterfaceId: interfaceId = "", PrivateIpAddress: ip = "" } = NetworkInterface ?? {};
    const LaunchTemplateData = {
      ImageId,
      InstanceType: "t3.micro" as const,
      NetworkInterfaces: [{ DeviceIndex: 0, NetworkInterfaceId: interfaceId, DeleteOnTermination: false }],
    };
    const { LaunchTemplate } = await ec2.send(
      new CreateLaunchTemplateCommand({ LaunchTemplateName: group, LaunchTemplateData }),
    );
    const LaunchTemplateId = LaunchTemplate?.LaunchTemplateId ?? "";
    await ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateId, LaunchTemplateData }));
    const template = { id: LaunchTemplateId, version: 2 };
    const node = { id, group, interfaceId, volumeIds: [VolumeId], zone, ip, template };
    onNode?.(node);
    await autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: group,
        MinSize: 1,
        MaxSize: 1,
        AvailabilityZones: [zone],
        LaunchTemplate: { LaunchTemplateId, Version: String(version) },
        LifecycleHookSpecificationList: [
          {
            LifecycleHookName: "boot",
            LifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
            HeartbeatTimeout: 600,
            DefaultResult: "ABANDON",
          },
        ],
        Tags: [{ Key: tag.key, Value: tag.value, PropagateAtLaunch: true }],
      }),
    );
    nodes.push(node);
  }
  return { cluster: CLUSTER, accountId: "123456789012", region, tag, nodes };
}
