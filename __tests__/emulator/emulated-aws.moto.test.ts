import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeLifecycleHooksCommand,
  DescribePoliciesCommand,
  PutLifecycleHookCommand,
  PutScalingPolicyCommand,
  UpdateAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import { callAws } from "../support/aws-call";
import { useEmulatedAws } from "../support/emulator";
import { eventually } from "../support/eventually";

const aws = useEmulatedAws();

let autoScaling: AutoScalingClient;

beforeAll(() => {
  autoScaling = new AutoScalingClient({
    endpoint: aws.emulator().url,
    region: "eu-west-1",
    credentials: { accessKeyId: "emulator", secretAccessKey: "emulator" },
  });
});

const ec2 = (body: string) => callAws(aws.emulator().url, { service: "ec2", body: `${body}&Version=2016-11-15` });
const logs = (action: string, parameters: object) =>
  callAws(aws.emulator().url, { service: "logs", target: `Logs_20140328.${action}`, body: JSON.stringify(parameters) });

/** The first match of `pattern`'s group in an answer, which says the rest where there is none. */
function found(text: string, pattern: RegExp): string {
  const [, match] = pattern.exec(text) ?? [];
  expect(match ?? text).toBe(match);
  return match ?? "";
}

test("gives back a group as it was described, through an update of its size", async () => {
  // GIVEN
  const image = found(await ec2("Action=DescribeImages"), /<imageId>([^<]+)/);
  const template = "LaunchTemplateName=workers";
  const created = await ec2(
    `Action=CreateLaunchTemplate&${template}&LaunchTemplateData.ImageId=${image}&LaunchTemplateData.InstanceType=t3.micro` +
      "&TagSpecification.1.ResourceType=launch-template&TagSpecification.1.Tag.1.Key=own&TagSpecification.1.Tag.1.Value=a",
  );
  const LaunchTemplateSpecification = {
    LaunchTemplateId: found(created, /<launchTemplateId>([^<]+)/),
    LaunchTemplateName: "workers",
    Version: "1",
  };
  const said = {
    DefaultInstanceWarmup: 30,
    MaxInstanceLifetime: 86_400,
    InstanceMaintenancePolicy: { MinHealthyPercentage: 100, MaxHealthyPercentage: 110 },
  };
  const name = { AutoScalingGroupName: "workers" };

  // WHEN
  const { LaunchTemplateId, Version } = LaunchTemplateSpecification;
  const Overrides = [{ InstanceType: "t3.small" as const }, { InstanceType: "t3.medium" as const }];
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      ...name,
      ...said,
      MinSize: 0,
      MaxSize: 1,
      AvailabilityZones: ["eu-west-1a"],
      MixedInstancesPolicy: {
        LaunchTemplate: { LaunchTemplateSpecification: { LaunchTemplateId, Version }, Overrides },
        InstancesDistribution: { OnDemandBaseCapacity: 1, SpotAllocationStrategy: "price-capacity-optimized" },
      },
    }),
  );
  await autoScaling.send(new UpdateAutoScalingGroupCommand({ ...name, MinSize: 1, MaxSize: 2 }));
  await autoScaling.send(
    new PutLifecycleHookCommand({
      ...name,
      LifecycleHookName: "launch",
      LifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
    }),
  );
  await autoScaling.send(
    new PutScalingPolicyCommand({
      ...name,
      PolicyName: "out",
      AdjustmentType: "ChangeInCapacity",
      ScalingAdjustment: 1,
    }),
  );

  // THEN
  const AutoScalingGroups = await eventually(async () => {
    const answer = await autoScaling.send(new DescribeAutoScalingGroupsCommand());
    const states = answer.AutoScalingGroups?.[0]?.Instances?.map(({ LifecycleState }) => LifecycleState);
    return states?.[0] === "InService" ? answer.AutoScalingGroups : undefined;
  });
  expect(AutoScalingGroups).toMatchObject([
    {
      ...name,
      ...said,
      MinSize: 1,
      MaxSize: 2,
      Instances: [{ LifecycleState: "InService" }],
      MixedInstancesPolicy: {
        LaunchTemplate: { LaunchTemplateSpecification, Overrides },
        InstancesDistribution: { OnDemandBaseCapacity: 1, SpotAllocationStrategy: "price-capacity-optimized" },
      },
      CapacityReservationSpecification: { CapacityReservationPreference: "default" },
    },
  ]);
  const { LifecycleHooks = [] } = await autoScaling.send(new DescribeLifecycleHooksCommand(name));
  expect(LifecycleHooks).toEqual([expect.not.objectContaining({ RoleARN: expect.anything() })]);
  const { ScalingPolicies = [] } = await autoScaling.send(new DescribePoliciesCommand(name));
  expect(ScalingPolicies).toEqual([expect.objectContaining({ PolicyName: "out", Enabled: true })]);
  expect(ScalingPolicies).toEqual([expect.not.objectContaining({ PredictiveScalingConfiguration: expect.anything() })]);
  expect(await ec2(`Action=DescribeLaunchTemplateVersions&${template}`)).not.toContain("tagSpecificationSet");
});

test("gives back descriptions of rules and classes of log groups", async () => {
  const group = found(await ec2("Action=DescribeSecurityGroups"), /<groupId>([^<]+)/);
  const rule = `GroupId=${group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=443&IpPermissions.1.ToPort=443`;
  await ec2(
    `Action=AuthorizeSecurityGroupEgress&${rule}&IpPermissions.1.Groups.1.GroupId=${group}&IpPermissions.1.Groups.1.Description=a`,
  );
  await ec2(
    `Action=AuthorizeSecurityGroupIngress&${rule}&IpPermissions.1.PrefixListIds.1.PrefixListId=pl-1&IpPermissions.1.PrefixListIds.1.Description=b`,
  );
  await logs("CreateLogGroup", { logGroupName: "rare", logGroupClass: "INFREQUENT_ACCESS" });

  const described = await ec2("Action=DescribeSecurityGroupRules");

  expect(described.match(/<description>[^<]+/g)?.sort()).toEqual(["<description>a", "<description>b"]);
  expect(JSON.parse(await logs("DescribeLogGroups", {})).logGroups).toMatchObject([
    { logGroupName: "rare", logGroupClass: "INFREQUENT_ACCESS" },
  ]);
});
