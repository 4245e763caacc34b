import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DeleteAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  AttachVolumeCommand,
  CreateLaunchTemplateCommand,
  CreateNetworkInterfaceCommand,
  CreateVolumeCommand,
  DeleteNetworkInterfaceCommand,
  DeleteVolumeCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  EC2Client,
  GetConsoleOutputCommand,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import { type EmulatedAws, startEmulatedAws } from "../../../scripts/emulator/emulated-aws";
import { type InstantMachines, instantMachines } from "../../../scripts/emulator/instant-machines";
import { eventually } from "../../support/eventually";

jest.setTimeout(900_000);

const GROUP = "orders-node-00";
const CLIENT = { region: "eu-west-1", credentials: { accessKeyId: "emulator", secretAccessKey: "emulator" } };

let aws: EmulatedAws;
let machines: InstantMachines;
let ec2: EC2Client;
let autoScaling: AutoScalingClient;
let node: { interfaceId: string; ip: string; volumeId: string };

beforeAll(async () => {
  aws = await startEmulatedAws({
    machines: (it) => {
      machines = instantMachines(it, { volumesOf: ({ privateIp }) => (privateIp === node.ip ? [node.volumeId] : []) });
      return machines;
    },
  });
  ec2 = new EC2Client({ ...CLIENT, endpoint: aws.url });
  autoScaling = new AutoScalingClient({ ...CLIENT, endpoint: aws.url });
});
afterAll(() => aws.stop());

const describeGroup = async () =>
  (await autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [GROUP] })))
    .AutoScalingGroups?.[0];
const inService = (other?: string) =>
  eventually(async () => {
    const [member] = (await describeGroup())?.Instances ?? [];
    return member?.LifecycleState === "InService" && member.InstanceId !== other ? member : undefined;
  });
const networkInterface = async () =>
  (await ec2.send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [node.interfaceId] })))
    .NetworkInterfaces?.[0];
const volume = async () => (await ec2.send(new DescribeVolumesCommand({ VolumeIds: [node.volumeId] }))).Volumes?.[0];
const instanceState = async (id: string) =>
  (await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]?.Instances?.[0];
const consoleOf = async (id: string) =>
  Buffer.from((await ec2.send(new GetConsoleOutputCommand({ InstanceId: id }))).Output ?? "", "base64").toString();

async function makeNode() {
  const filter = { Name: "availability-zone", Values: ["eu-west-1a"] };
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ Filters: [filter] }));
  const { NetworkInterface } = await ec2.send(new CreateNetworkInterfaceCommand({ SubnetId: Subnets[0]?.SubnetId }));
  const { VolumeId = "" } = await ec2.send(new CreateVolumeCommand({ AvailabilityZone: "eu-west-1a", Size: 8 }));
  node = {
    interfaceId: NetworkInterface?.NetworkInterfaceId ?? "",
    ip: NetworkInterface?.PrivateIpAddress ?? "",
    volumeId: VolumeId,
  };
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: GROUP,
      LaunchTemplateData: {
        ImageId: "ami-12345678",
        InstanceType: "t3.micro",
        MetadataOptions: { HttpTokens: "required", InstanceMetadataTags: "enabled" },
        UserData: Buffer.from("#!/bin/sh\n").toString("base64"),
        NetworkInterfaces: [{ DeviceIndex: 0, NetworkInterfaceId: node.interfaceId, DeleteOnTermination: false }],
      },
    }),
  );
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: GROUP,
      MinSize: 1,
      MaxSize: 1,
      AvailabilityZones: ["eu-west-1a"],
      LaunchTemplate: { LaunchTemplateId: LaunchTemplate?.LaunchTemplateId, Version: "1" },
      LifecycleHookSpecificationList: [
        { LifecycleHookName: "boot", LifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING", HeartbeatTimeout: 600 },
      ],
      Tags: [{ Key: "Name", Value: GROUP, PropagateAtLaunch: true }],
    }),
  );
}

test("an instance keeps its node's interface and volume to its end, and its successor gets both", async () => {
  // GIVEN
  await makeNode();
  const first = await inService();

  // THEN
  expect(first).toMatchObject({ HealthStatus: "Healthy", LaunchTemplate: { LaunchTemplateName: GROUP, Version: "1" } });
  const id = first.InstanceId ?? "";
  expect(await instanceState(id)).toMatchObject({ PrivateIpAddress: node.ip, State: { Name: "running" } });
  expect(await networkInterface()).toMatchObject({ Status: "in-use", Attachment: { InstanceId: id } });
  expect(await volume()).toMatchObject({ State: "in-use", Attachments: [{ InstanceId: id }] });
  await expect(aws.facts({ privateIp: node.ip })).resolves.toMatchObject({
    id,
    zone: "eu-west-1a",
    tags: { Name: GROUP, "aws:autoscaling:groupName": GROUP },
    tellsTags: true,
    notice: {},
    userData: Buffer.from("#!/bin/sh\n"),
    targetLifecycleState: "InService",
  });
  expect(await consoleOf(id)).toContain("has booted");

  // AND nobody else gets them
  const NetworkInterfaces = [{ DeviceIndex: 0, NetworkInterfaceId: node.interfaceId }];
  const refused = (code: string) => expect.objectContaining({ name: code });
  await expect(
    ec2.send(new RunInstancesCommand({ ImageId: "ami-12345678", MinCount: 1, MaxCount: 1, NetworkInterfaces })),
  ).rejects.toEqual(refused("InvalidNetworkInterface.InUse"));
  await expect(
    ec2.send(new AttachVolumeCommand({ VolumeId: node.volumeId, InstanceId: id, Device: "/dev/sdg" })),
  ).rejects.toEqual(refused("VolumeInUse"));
  await expect(ec2.send(new DeleteVolumeCommand({ VolumeId: node.volumeId }))).rejects.toEqual(refused("VolumeInUse"));
  await expect(ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: node.interfaceId }))).rejects.toEqual(
    refused("InvalidParameterValue"),
  );

  // WHEN it is terminated through its group
  await autoScaling.send(
    new TerminateInstanceInAutoScalingGroupCommand({ InstanceId: id, ShouldDecrementDesiredCapacity: false }),
  );
  const second = await inService(id);

  // THEN
  const successor = second.InstanceId ?? "";
  expect(await instanceState(id)).toMatchObject({ State: { Name: "terminated" } });
  expect(await consoleOf(id)).toContain("has booted");
  expect(await networkInterface()).toMatchObject({ Status: "in-use", Attachment: { InstanceId: successor } });
  expect(await volume()).toMatchObject({ State: "in-use", Attachments: [{ InstanceId: successor }] });

  // WHEN its machine dies
  await machines.kill(successor);

  // THEN the group notices, and replaces it
  const third = await inService(successor);
  expect(await networkInterface()).toMatchObject({ Attachment: { InstanceId: third.InstanceId } });
  const { Activities = [] } = await autoScaling.send(
    new DescribeScalingActivitiesCommand({ AutoScalingGroupName: GROUP }),
  );
  expect(Activities.map(({ Description }) => Description)).toEqual(
    expect.arrayContaining([`Launching a new EC2 instance: ${id}`, `Terminating EC2 instance: ${id}`]),
  );

  // WHEN the group goes
  await autoScaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: GROUP, ForceDelete: true }));
  await eventually(async () => (await volume())?.State === "available" || undefined);
  await ec2.send(new DeleteVolumeCommand({ VolumeId: node.volumeId }));
  await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: node.interfaceId }));

  // THEN
  expect(await describeGroup()).toBeUndefined();
});
