import type { AwsCalls } from "../aws-calls";
import { validationError } from "../aws-error";
import { isTree, type Tree, textAt, treeAt, treesAt } from "../tree";
import { texts } from "./actions/paging";
import type { GroupChange, MixedInstances, TemplateReference } from "./group";
import { withDefaults } from "./settings";

/**
 * A request's parameters with every launch template named by id and name, as groups are described.
 *
 * @throws AwsError where there is no such template, or something else is to be launched from.
 */
export async function withTemplates(aws: AwsCalls, region: string, parameters: Tree): Promise<Tree> {
  if (parameters["LaunchConfigurationName"] !== undefined || parameters["InstanceId"] !== undefined) {
    throw validationError("The emulated AWS launches from launch templates alone: name a LaunchTemplate.");
  }
  const completed = (specification: Tree) => completeTemplate(aws, region, specification);
  const { LaunchTemplate: template, MixedInstancesPolicy: policy } = parameters;
  if (isTree(template)) return { ...parameters, LaunchTemplate: await completed(template) };
  if (!isTree(policy)) return parameters;
  const launch = treeAt(policy, "LaunchTemplate");
  const overrides = await Promise.all(
    treesAt(launch, "Overrides").map(async (override) =>
      isTree(override["LaunchTemplateSpecification"])
        ? { ...override, LaunchTemplateSpecification: await completed(override["LaunchTemplateSpecification"]) }
        : override,
    ),
  );
  return {
    ...parameters,
    MixedInstancesPolicy: {
      ...policy,
      LaunchTemplate: {
        ...launch,
        LaunchTemplateSpecification: await completed(treeAt(launch, "LaunchTemplateSpecification")),
        ...(overrides.length > 0 ? { Overrides: overrides } : {}),
      },
    },
  };
}

/**
 * What a request's parameters, {@link withTemplates}, ask the rules for.
 *
 * @throws AwsError where there is no such subnet.
 */
export async function groupChange(aws: AwsCalls, region: string, parameters: Tree): Promise<GroupChange> {
  const subnetIds = (textAt(parameters, "VPCZoneIdentifier") ?? "").split(",").filter((id) => id !== "");
  const zones = texts(parameters["AvailabilityZones"]);
  const protectsNew = textAt(parameters, "NewInstancesProtectedFromScaleIn");
  const policy = treeAt(parameters, "InstanceLifecyclePolicy");
  return {
    ...sizes(parameters),
    ...(subnetIds.length > 0 && { subnetIds, zones: await zonesOf(aws, region, subnetIds) }),
    ...(subnetIds.length === 0 && zones.length > 0 && { subnetIds, zones }),
    ...(protectsNew !== undefined && { protectsNew: protectsNew === "true" }),
    ...(isTree(parameters["InstanceMaintenancePolicy"]) && {
      maintenance: healthyPercents(parameters["InstanceMaintenancePolicy"]),
    }),
    ...(isTree(parameters["InstanceLifecyclePolicy"]) && {
      retainsInstances: textAt(treeAt(policy, "RetentionTriggers"), "TerminateHookAbandon") === "retain",
    }),
    ...launches(parameters),
  };
}

/** What a group launches, by a request or a desired configuration that {@link withTemplates} has completed. */
export function launches(parameters: Tree): GroupChange {
  const { LaunchTemplate: template, MixedInstancesPolicy: policy } = parameters;
  if (isTree(template)) return { template: reference(template), mixed: undefined };
  if (isTree(policy)) return { template: undefined, mixed: mixedInstances(withDefaults(policy)) };
  return {};
}

function sizes(parameters: Tree): GroupChange {
  const named = { min: "MinSize", max: "MaxSize", desired: "DesiredCapacity" } as const;
  return Object.fromEntries(
    Object.entries(named).flatMap(([size, name]) => {
      const value = textAt(parameters, name);
      return value === undefined ? [] : [[size, Number(value)]];
    }),
  );
}

/** A policy whose percentages are -1 is none. */
function healthyPercents(policy: Tree): GroupChange["maintenance"] {
  const minHealthyPercent = Number(textAt(policy, "MinHealthyPercentage"));
  const maxHealthyPercent = Number(textAt(policy, "MaxHealthyPercentage"));
  return minHealthyPercent < 0 ? undefined : { minHealthyPercent, maxHealthyPercent };
}

function mixedInstances(policy: Tree): MixedInstances {
  const distribution = treeAt(policy, "InstancesDistribution");
  const launch = treeAt(policy, "LaunchTemplate");
  return {
    template: reference(treeAt(launch, "LaunchTemplateSpecification")),
    overrides: treesAt(launch, "Overrides").map((override) => {
      const instanceType = textAt(override, "InstanceType");
      const specification = override["LaunchTemplateSpecification"];
      return {
        ...(instanceType === undefined ? {} : { instanceType }),
        ...(isTree(specification) ? { template: reference(specification) } : {}),
      };
    }),
    onDemandBase: Number(textAt(distribution, "OnDemandBaseCapacity")),
    onDemandPercent: Number(textAt(distribution, "OnDemandPercentageAboveBaseCapacity")),
  };
}

function reference(specification: Tree): TemplateReference {
  const version = textAt(specification, "Version");
  return { id: textAt(specification, "LaunchTemplateId") ?? "", ...(version === undefined ? {} : { version }) };
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateSpecification.html */
async function completeTemplate(aws: AwsCalls, region: string, specification: Tree): Promise<Tree> {
  const id = textAt(specification, "LaunchTemplateId");
  const name = textAt(specification, "LaunchTemplateName");
  const answer = await aws(
    "ec2",
    region,
    "DescribeLaunchTemplates",
    id === undefined ? { LaunchTemplateName: [name ?? ""] } : { LaunchTemplateId: [id] },
  );
  const [found] = treesAt(answer, "launchTemplates");
  if (!found)
    throw validationError("You must use a valid fully-formed launch template. The specified template does not exist.");
  return {
    ...specification,
    LaunchTemplateId: textAt(found, "launchTemplateId") ?? "",
    LaunchTemplateName: textAt(found, "launchTemplateName") ?? "",
  };
}

async function zonesOf(aws: AwsCalls, region: string, subnetIds: readonly string[]): Promise<string[]> {
  const answer = await aws("ec2", region, "DescribeSubnets", { SubnetId: subnetIds });
  const zones = new Map(
    treesAt(answer, "subnetSet").map((subnet) => [
      textAt(subnet, "subnetId"),
      textAt(subnet, "availabilityZone") ?? "",
    ]),
  );
  return subnetIds.map((id) => zones.get(id) ?? "");
}
