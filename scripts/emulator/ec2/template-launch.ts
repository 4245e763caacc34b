import type { LaunchOrder } from "../auto-scaling/group";
import type { AwsCalls } from "../aws-calls";
import { AwsError } from "../aws-error";
import { type Tree, textAt, treeAt, treesAt, type Value } from "../tree";

/** One version of a launch template, as EC2 describes it. */
export interface DescribedTemplate {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly data: Tree;
}

/**
 * What a reference to a template stands for now.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html
 *
 * @throws AwsError where there is no such template or version.
 */
export async function describeTemplate(
  aws: AwsCalls,
  region: string,
  { id, version = "$Default" }: { readonly id: string; readonly version?: string },
): Promise<DescribedTemplate> {
  const answer = await aws("ec2", region, "DescribeLaunchTemplateVersions", {
    LaunchTemplateId: id,
    LaunchTemplateVersion: [version],
  });
  const [found] = treesAt(answer, "launchTemplateVersionSet");
  if (!found) {
    throw new AwsError(
      "InvalidLaunchTemplateId.VersionNotFound",
      `Could not find the specified version ${version} for the launch template with ID ${id}.`,
    );
  }
  return {
    id,
    name: textAt(found, "launchTemplateName") ?? "",
    version: textAt(found, "versionNumber") ?? "",
    data: treeAt(found, "launchTemplateData"),
  };
}

/** The parameters of the `RunInstances` that a group's order becomes. */
export function runParameters(order: LaunchOrder, { id, version, data }: DescribedTemplate): Tree {
  const profile = treeAt(data, "iamInstanceProfile");
  const cards = treesAt(data, "networkInterfaceSet");
  const tags = { ...templateTags(data), ...order.tags, "aws:autoscaling:groupName": order.group };
  const metadata = Object.entries(treeAt(data, "metadataOptions"));
  const spot = order.spot || textAt(treeAt(data, "instanceMarketOptions"), "marketType") === "spot";
  return {
    MinCount: "1",
    MaxCount: "1",
    LaunchTemplate: { LaunchTemplateId: id, Version: version },
    ...given("ImageId", data["imageId"]),
    ...given("InstanceType", order.instanceType ?? data["instanceType"]),
    ...given("UserData", data["userData"]),
    ...(order.zone === "" ? {} : { Placement: { AvailabilityZone: order.zone } }),
    ...(cards.length > 0
      ? { NetworkInterface: cards.map((card, index) => interfaceParameters(card, index, order)) }
      : given("SubnetId", order.subnetId)),
    ...(Object.keys(profile).length > 0
      ? { IamInstanceProfile: { ...given("Name", profile["name"]), ...given("Arn", profile["arn"]) } }
      : {}),
    ...(metadata.length > 0 ? { MetadataOptions: Object.fromEntries(metadata.map(capitalized)) } : {}),
    ...(spot ? { InstanceMarketOptions: { MarketType: "spot" } } : {}),
    TagSpecification: [{ ResourceType: "instance", Tag: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }],
  };
}

function interfaceParameters(card: Tree, index: number, { subnetId }: LaunchOrder): Tree {
  const DeviceIndex = textAt(card, "deviceIndex") ?? String(index);
  const fixed = textAt(card, "networkInterfaceId");
  if (fixed !== undefined) return { DeviceIndex, NetworkInterfaceId: fixed };
  return {
    DeviceIndex,
    DeleteOnTermination: textAt(card, "deleteOnTermination") ?? "true",
    ...given("SubnetId", textAt(card, "subnetId") ?? subnetId),
    ...given("AssociatePublicIpAddress", card["associatePublicIpAddress"]),
    ...given("SecurityGroupId", card["groupSet"]),
  };
}

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html#tag-lifecycle */
function templateTags(data: Tree): Record<string, string> {
  const specification = treesAt(data, "tagSpecificationSet").find(({ resourceType }) => resourceType === "instance");
  return Object.fromEntries(
    treesAt(specification ?? {}, "tagSet").map((tag) => [textAt(tag, "key") ?? "", textAt(tag, "value") ?? ""]),
  );
}

/** Answers of EC2 begin their names in lower case, requests in upper case. */
const capitalized = ([name, value]: [string, Value]): [string, Value] => [
  `${name.charAt(0).toUpperCase()}${name.slice(1)}`,
  value,
];

function given(name: string, value: Value | undefined): Tree {
  return value === undefined || value === "" ? {} : { [name]: value };
}
