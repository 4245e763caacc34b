import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DeleteAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  DescribeInstanceRefreshesCommand,
  DescribeScalingActivitiesCommand,
  paginateDescribeAutoScalingGroups,
  SetDesiredCapacityCommand,
  StartInstanceRefreshCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DescribeInstancesCommand,
  DescribeSubnetsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { AwsError } from "../../../scripts/emulator/aws-error";
import { type EmulatedAws, startEmulatedAws } from "../../../scripts/emulator/emulated-aws";
import { noFaults } from "../../../scripts/emulator/faults";
import { eventually } from "../../support/eventually";

jest.setTimeout(900_000);

const GROUP = "workers";
const CLIENT = {
  region: "eu-west-1",
  credentials: { accessKeyId: "emulator", secretAccessKey: "emulator" },
  maxAttempts: 1,
};

let aws: EmulatedAws;
let ec2: EC2Client;
let autoScaling: AutoScalingClient;
let subnets: string[];
let LaunchTemplateId: string;

beforeAll(async () => {
  aws = await startEmulatedAws();
  ec2 = new EC2Client({ ...CLIENT, endpoint: aws.url });
  autoScaling = new AutoScalingClient({ ...CLIENT, endpoint: aws.url });
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand());
  subnets = Subnets.flatMap(({ SubnetId }) => SubnetId ?? []);
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: GROUP,
      LaunchTemplateData: { ImageId: "ami-12345678", InstanceType: "t3.micro" },
    }),
  );
  LaunchTemplateId = LaunchTemplate?.LaunchTemplateId ?? "";
});
afterEach(() => Object.assign(aws.faults, noFaults()));
afterAll(() => aws.stop());

const create = (name: string, desired: number) =>
  autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: name,
      MinSize: 0,
      MaxSize: 4,
      DesiredCapacity: desired,
      VPCZoneIdentifier: subnets.join(","),
      LaunchTemplate: { LaunchTemplateName: GROUP, Version: "1" },
    }),
  );
const describeGroup = async (name: string) =>
  (await autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] })))
    .AutoScalingGroups?.[0];
const inService = (name: string, count: number) =>
  eventually(async () => {
    const { Instances = [] } = (await describeGroup(name)) ?? {};
    const all = Instances.every(({ LifecycleState }) => LifecycleState === "InService");
    return all && Instances.length === count ? Instances : undefined;
  });

test("a refresh makes every instance one of the desired configuration, and the group's template follows", async () => {
  await create(GROUP, 3);
  const before = await inService(GROUP, 3);
  expect(new Set(before.map(({ AvailabilityZone }) => AvailabilityZone)).size).toBe(3);
  await ec2.send(
    new CreateLaunchTemplateVersionCommand({
      LaunchTemplateId,
      LaunchTemplateData: { ImageId: "ami-12345678", InstanceType: "t3.small" },
    }),
  );

  const start = new StartInstanceRefreshCommand({
    AutoScalingGroupName: GROUP,
    DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId, Version: "2" } },
    Preferences: { MinHealthyPercentage: 50, InstanceWarmup: 0, AutoRollback: true, SkipMatching: true },
  });
  const { InstanceRefreshId } = await autoScaling.send(start);
  const refresh = await eventually(async () => {
    const { InstanceRefreshes = [] } = await autoScaling.send(
      new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: GROUP }),
    );
    return InstanceRefreshes[0]?.EndTime && InstanceRefreshes[0];
  });

  expect(refresh).toMatchObject({ InstanceRefreshId, Status: "Successful", PercentageComplete: 100 });
  const after = await inService(GROUP, 3);
  expect(after.map(({ InstanceType, LaunchTemplate }) => [InstanceType, LaunchTemplate?.Version])).toEqual(
    Array(3).fill(["t3.small", "2"]),
  );
  expect(await describeGroup(GROUP)).toMatchObject({ LaunchTemplate: { LaunchTemplateName: GROUP, Version: "2" } });
});

test("groups come in pages, and an instance is found in its group", async () => {
  await create("pages-1", 0);
  await create("pages-2", 0);
  const names: (string | undefined)[] = [];
  for await (const page of paginateDescribeAutoScalingGroups({ client: autoScaling, pageSize: 1 }, {})) {
    expect(page.AutoScalingGroups).toHaveLength(1);
    names.push(page.AutoScalingGroups?.[0]?.AutoScalingGroupName);
  }
  expect(names).toEqual([GROUP, "pages-1", "pages-2"]);

  const [{ InstanceId = "" } = {}] = await inService(GROUP, 3);
  await expect(
    autoScaling.send(new DescribeAutoScalingInstancesCommand({ InstanceIds: [InstanceId] })),
  ).resolves.toMatchObject({ AutoScalingInstances: [{ InstanceId, AutoScalingGroupName: GROUP }] });
});

test("what goes wrong is told in AWS's words, and is over when it is taken back", async () => {
  // Throttled
  aws.faults.refuse = ({ action }) =>
    action === "DescribeInstances" ? new AwsError("RequestLimitExceeded", "Request limit exceeded.", 503) : undefined;
  await expect(ec2.send(new DescribeInstancesCommand())).rejects.toMatchObject({ name: "RequestLimitExceeded" });
  Object.assign(aws.faults, noFaults());
  await expect(ec2.send(new DescribeInstancesCommand())).resolves.toBeDefined();

  // No capacity
  aws.faults.noCapacity = ({ zone }) =>
    `We currently do not have sufficient t3.micro capacity in the Availability Zone you requested (${zone}).`;
  await create("scarce", 1);
  const failed = await eventually(async () => {
    const { Activities } = await autoScaling.send(
      new DescribeScalingActivitiesCommand({ AutoScalingGroupName: "scarce" }),
    );
    return Activities?.find(({ StatusCode }) => StatusCode === "Failed");
  });
  expect(failed.StatusMessage).toMatch(/sufficient t3.micro capacity .* Launching EC2 instance failed\.$/);
  Object.assign(aws.faults, noFaults());
  const [member] = await inService("scarce", 1);

  // A shutdown without end
  aws.faults.shutdownMs = () => 3_600_000;
  await autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: "scarce", DesiredCapacity: 0 }));
  await eventually(async () => {
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [member?.InstanceId ?? ""] }));
    return Reservations?.[0]?.Instances?.[0]?.State?.Name === "shutting-down" || undefined;
  });
  await expect(
    autoScaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: "scarce" })),
  ).rejects.toMatchObject({ name: "ScalingActivityInProgressFault" });

  // A view of the past
  aws.faults.staleMs = () => 3_600_000;
  expect(await describeGroup(GROUP)).toBeUndefined();
});
