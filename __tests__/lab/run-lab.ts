/** A program that opens a cloud with an instance and an attached volume in it, says so, and lives until it is ended. */
import {
  AttachVolumeCommand,
  CreateSubnetCommand,
  CreateVolumeCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import { openContainerCloud } from "../../scripts/rehearse/cloud/container-cloud";
import { until } from "../support/instance/until";

async function main(image: string): Promise<void> {
  const { aws, lab, network, machineOf } = await openContainerCloud({ image });
  const credentials = { accessKeyId: "emulator", secretAccessKey: "emulator" };
  const ec2 = new EC2Client({ region: "us-west-2", endpoint: aws.url, credentials });
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: network }));
  const zone = { AvailabilityZone: "us-west-2a" };
  const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock: network, ...zone }));
  const { Instances } = await ec2.send(
    new RunInstancesCommand({
      ImageId: "ami-0123456789abcdef0",
      MinCount: 1,
      MaxCount: 1,
      SubnetId: Subnet?.SubnetId,
    }),
  );
  const InstanceId = Instances?.[0]?.InstanceId ?? "";
  await until("the instance runs", async () => {
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [InstanceId] }));
    return Reservations?.[0]?.Instances?.[0]?.State?.Name === "running";
  });
  const { VolumeId } = await ec2.send(new CreateVolumeCommand({ Size: 1, ...zone }));
  await ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device: "/dev/sdf" }));
  console.log(lab.id, aws.pid);
  await machineOf(InstanceId)?.ended;
}

void main(process.argv[2] ?? "");
