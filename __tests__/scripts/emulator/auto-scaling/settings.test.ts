import { changedSettings, describedSettings } from "../../../../scripts/emulator/auto-scaling/settings";

const template = (id: string) => ({ LaunchTemplate: { LaunchTemplateId: id } });
const policy = (id: string, InstancesDistribution = {}) => ({
  MixedInstancesPolicy: {
    LaunchTemplate: { LaunchTemplateSpecification: { LaunchTemplateId: id } },
    InstancesDistribution,
  },
});

test("a group has each setting that its last request named, until it is cleared", () => {
  const given = changedSettings(
    {},
    {
      AutoScalingGroupName: "g1",
      MinSize: "1",
      DefaultInstanceWarmup: "30",
      MaxInstanceLifetime: "86400",
      InstanceMaintenancePolicy: { MinHealthyPercentage: "100", MaxHealthyPercentage: "110" },
    },
  );
  const changed = changedSettings(given, { MaxInstanceLifetime: "90000", MaxSize: "2" });

  expect(changed).toEqual({
    DefaultInstanceWarmup: "30",
    MaxInstanceLifetime: "90000",
    InstanceMaintenancePolicy: { MinHealthyPercentage: "100", MaxHealthyPercentage: "110" },
  });
  expect(
    changedSettings(changed, {
      DefaultInstanceWarmup: "-1",
      MaxInstanceLifetime: "0",
      InstanceMaintenancePolicy: { MinHealthyPercentage: "-1", MaxHealthyPercentage: "-1" },
    }),
  ).toEqual({});
});

test("what a group launches stays through a request that names nothing to launch, and goes with one that does", () => {
  const mixed = changedSettings({}, policy("lt-1"));

  expect(changedSettings(mixed, { MaxSize: "2" })).toEqual(policy("lt-1"));
  expect(changedSettings(mixed, template("lt-2"))).toEqual(template("lt-2"));
  expect(changedSettings(template("lt-2"), policy("lt-1"))).toEqual(policy("lt-1"));
});

test("a group that was told nothing is described with the defaults", () => {
  expect(describedSettings({})).toMatchObject({
    CapacityReservationSpecification: { CapacityReservationPreference: "default" },
    TerminationPolicies: ["Default"],
    HealthCheckType: "EC2",
  });
});

test("a mixed instances policy is described with the defaults of what it leaves open", () => {
  const described = (distribution: object) =>
    describedSettings(policy("lt-1", distribution))["MixedInstancesPolicy"] as { InstancesDistribution: object };

  expect(described({ SpotAllocationStrategy: "capacity-optimized" }).InstancesDistribution).toEqual({
    OnDemandAllocationStrategy: "prioritized",
    OnDemandBaseCapacity: "0",
    OnDemandPercentageAboveBaseCapacity: "100",
    SpotAllocationStrategy: "capacity-optimized",
  });
  expect(described({}).InstancesDistribution).toMatchObject({ SpotInstancePools: "2" });
});
