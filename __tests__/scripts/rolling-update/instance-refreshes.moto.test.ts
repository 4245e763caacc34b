import {
  AutoScalingClient,
  type AutoScalingGroup,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  DescribeSubnetsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { type EmulatedAws, startEmulatedAws } from "../../../scripts/emulator/emulated-aws";
import { instanceRefreshes } from "../../../scripts/rolling-update/aws/instance-refreshes";
import { type Clock, systemClock } from "../../../scripts/rolling-update/clock";
import type { FleetEvent } from "../../../scripts/rolling-update/fleet/fleet-events";
import { follow } from "../../../scripts/rolling-update/fleet/follow";
import { type InstanceRefreshes, isUnderWay } from "../../../scripts/rolling-update/fleet/instance-refresh";
import { eventually } from "../../support/eventually";
import { useTestCredentials } from "../../support/test-credentials";

jest.setTimeout(600_000);

const REGION = "eu-west-1";
const AN_HOUR_S = 3_600;
/** Of four workers two at once, and then an hour to look. */
const HELD_HALF_WAY = {
  templateVersion: 2,
  minHealthyPercent: 50,
  warmupSeconds: 0,
  checkpoints: [50, 100],
  checkpointDelaySeconds: AN_HOUR_S,
};
/** The emulated pool is quicker than a real one. */
const impatient: Clock = { ...systemClock, sleep: () => systemClock.sleep(20) };

useTestCredentials();

describe("an instance refresh of an emulated pool", () => {
  let world: World;
  let refreshes: InstanceRefreshes;
  beforeAll(async () => {
    world = await emulated();
    refreshes = world.refreshes;
  });
  afterAll(() => world.aws.stop());

  test("is started towards a version and followed to its end: every worker and the group are on it then", async () => {
    await world.pool("whole");

    const id = await refreshes.start("whole", { templateVersion: 2, minHealthyPercent: 50, warmupSeconds: 0 });
    const { outcome, events } = await followed(refreshes, "whole", id);

    expect(outcome).toMatchObject({ status: "done", refresh: { id, percent: 100, remaining: 0 } });
    expect(events.at(-1)).toMatchObject({ kind: "finished", status: "Successful", refresh: id });
    await expect(world.versions("whole")).resolves.toEqual({ group: "2", members: ["2", "2", "2", "2"] });
  });

  test("waits at its checkpoint, and can be taken back from there", async () => {
    await world.pool("halved");
    const id = await refreshes.start("halved", HELD_HALF_WAY);
    await eventually(async () => ((await refreshes.describe("halved"))[0]?.percent === 50 ? true : undefined));

    const [held, ...others] = await refreshes.describe("halved");
    expect(held).toMatchObject({ id, status: "InProgress", percent: 50, remaining: 2, checkpoints: [50, 100] });
    expect(held).toMatchObject({ checkpointDelayMs: AN_HOUR_S * 1_000, reason: expect.stringContaining("checkpoint") });
    expect(others).toEqual([]);

    await refreshes.rollback("halved");
    const { outcome } = await followed(refreshes, "halved", id);

    expect(outcome).toMatchObject({ status: "rolled back", error: { code: "REFRESH_FAILED" } });
    await expect(world.versions("halved")).resolves.toEqual({ group: "1", members: ["1", "1", "1", "1"] });
  });

  test("cancelled, it leaves what is replaced, and another can be started", async () => {
    await world.pool("cut");
    const id = await refreshes.start("cut", HELD_HALF_WAY);
    await eventually(async () => ((await refreshes.describe("cut"))[0]?.percent === 50 ? true : undefined));
    await expect(refreshes.start("cut", {})).rejects.toMatchObject({
      name: "CloudError",
      code: expect.stringMatching(/^InstanceRefreshInProgress/),
    });

    await refreshes.cancel("cut");
    const { outcome } = await followed(refreshes, "cut", id);

    expect(outcome.status).toBe("cancelled");
    expect((await world.versions("cut")).members.sort()).toEqual(["1", "1", "2", "2"]);
    const next = await refreshes.start("cut", { minHealthyPercent: 50, warmupSeconds: 0 });
    expect((await followed(refreshes, "cut", next)).outcome.status).toBe("done");
    expect((await refreshes.describe("cut")).map((refresh) => refresh.id)).toEqual([next, id]);
    expect((await world.versions("cut")).members).toEqual(["2", "2", "2", "2"]);
  });

  test("keeps all of a policy of mixed instances but the version", async () => {
    await world.pool("mixed", true);

    const id = await refreshes.start("mixed", { templateVersion: 2, minHealthyPercent: 50, warmupSeconds: 0 });
    const { outcome } = await followed(refreshes, "mixed", id);

    expect(outcome.status).toBe("done");
    await expect(world.versions("mixed")).resolves.toEqual({ group: "2", members: ["2", "2", "2", "2"] });
    expect((await world.group("mixed")).MixedInstancesPolicy).toMatchObject({
      LaunchTemplate: { Overrides: [{ InstanceType: "t3.small" }] },
      InstancesDistribution: { OnDemandPercentageAboveBaseCapacity: 100 },
    });
  });

  test("where none is under way, or none can go back, AWS says so", async () => {
    await world.pool("idle");

    for (const end of ["cancel", "rollback"] as const) {
      await expect(refreshes[end]("idle")).rejects.toMatchObject({
        code: expect.stringMatching(/^ActiveInstanceRefreshNotFound/),
      });
    }
    await expect(refreshes.start("idle", { autoRollback: true })).rejects.toMatchObject({
      code: "ValidationError",
      message: expect.stringContaining("DesiredConfiguration"),
    });
    await expect(refreshes.describe("idle")).resolves.toEqual([]);
    await expect(refreshes.failedLaunches("idle", 0)).resolves.toEqual([]);
  });
});

describe("an instance refresh whose launches fail", () => {
  let world: World;
  beforeAll(async () => {
    world = await emulated({ stuckMs: 5_000 });
  });
  afterAll(() => world.aws.stop());

  test("ends as failed, with what AWS says of it and of the launches", async () => {
    await world.pool("scarce");
    const capacity = "We currently do not have sufficient t3.small capacity in the Availability Zone you requested.";
    world.aws.faults.noCapacity = () => capacity;

    const id = await world.refreshes.start("scarce", { templateVersion: 2, minHealthyPercent: 50 });
    const { outcome } = await followed(world.refreshes, "scarce", id);

    expect(outcome).toMatchObject({ status: "failed", refresh: { id, status: "Failed" } });
    expect(outcome.error).toMatchObject({ code: "REFRESH_FAILED", reason: expect.stringContaining("no progress") });
    expect(outcome.error?.reason).toContain(capacity);
    const [refresh] = await world.refreshes.describe("scarce");
    expect(refresh && isUnderWay(refresh)).toBe(false);
  });
});

type World = Awaited<ReturnType<typeof emulated>>;

/** An emulated AWS with a launch template of two versions, and pools of four from its first. */
async function emulated(timings: { readonly stuckMs?: number } = {}) {
  const aws: EmulatedAws = await startEmulatedAws({ timings });
  const options = { region: REGION, endpoint: aws.url };
  const ec2 = new EC2Client(options);
  const autoScaling = new AutoScalingClient(options);
  const subnets = (await ec2.send(new DescribeSubnetsCommand())).Subnets?.flatMap(({ SubnetId }) => SubnetId ?? []);
  const data = { ImageId: "ami-12345678", InstanceType: "t3.small" as const };
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({ LaunchTemplateName: "workers", LaunchTemplateData: data }),
  );
  const LaunchTemplateId = LaunchTemplate?.LaunchTemplateId;
  await ec2.send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateId, LaunchTemplateData: data }));

  const group = async (name: string): Promise<Partial<AutoScalingGroup>> => {
    const { AutoScalingGroups = [] } = await autoScaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
    );
    return AutoScalingGroups[0] ?? {};
  };
  const pool = async (name: string, isMixed = false) => {
    const template = { LaunchTemplateId, Version: "1" };
    const launches = isMixed
      ? {
          MixedInstancesPolicy: {
            LaunchTemplate: { LaunchTemplateSpecification: template, Overrides: [{ InstanceType: "t3.small" }] },
            InstancesDistribution: { OnDemandPercentageAboveBaseCapacity: 100 },
          },
        }
      : { LaunchTemplate: template };
    await autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: name,
        MinSize: 4,
        MaxSize: 8,
        VPCZoneIdentifier: subnets?.join(","),
        ...launches,
      }),
    );
    await eventually(async () => {
      const { Instances = [] } = await group(name);
      const isUp = Instances.every(({ LifecycleState }) => LifecycleState === "InService");
      return isUp && Instances.length === 4 ? true : undefined;
    });
  };
  const versions = async (name: string) => {
    const { LaunchTemplate: own, MixedInstancesPolicy: mixed, Instances = [] } = await group(name);
    return {
      group: (own ?? mixed?.LaunchTemplate?.LaunchTemplateSpecification)?.Version,
      members: Instances.map(({ LaunchTemplate: from }) => from?.Version),
    };
  };
  return { aws, refreshes: instanceRefreshes(options), group, pool, versions };
}

async function followed(refreshes: InstanceRefreshes, group: string, id: string) {
  const events: FleetEvent[] = [];
  const outcome = await follow({ refreshes, clock: impatient, report: (event) => events.push(event) }, group, {
    id,
    appearMs: 60_000,
    timeoutMs: 300_000,
  });
  return { outcome, events };
}
