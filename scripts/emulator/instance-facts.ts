import type { AwsCalls } from "./aws-calls";
import type { InstanceFacts, Notice } from "./machines";
import type { Region, Regions } from "./regions";
import { textAt, treeAt, treesAt } from "./tree";

const GONE = ["shutting-down", "terminated"];

/** Reads what an instance can know of itself, as it is at this moment. */
export function instanceFacts(regions: Regions, aws: AwsCalls, notices: { of(instanceId: string): Notice }) {
  return async (
    of: { readonly instanceId: string } | { readonly privateIp: string },
  ): Promise<InstanceFacts | undefined> => {
    for (const region of regions.all()) {
      for (const { current } of region.instances.rules.instances.values()) {
        const isIt = "instanceId" in of ? current.id === of.instanceId : current.privateIp === of.privateIp;
        if (isIt && (current.state !== "terminated" || "instanceId" in of)) {
          const facts = await read(region, current.id, aws);
          return facts && { ...facts, notice: notices.of(current.id) };
        }
      }
    }
    return undefined;
  };
}

async function read(region: Region, id: string, aws: AwsCalls): Promise<Omit<InstanceFacts, "notice"> | undefined> {
  const instance = region.instances.rules.instances.get(id)?.current;
  if (!instance) return undefined;
  const [described, attribute] = await Promise.all([
    aws("ec2", region.name, "DescribeInstances", { InstanceId: [id] }),
    aws("ec2", region.name, "DescribeInstanceAttribute", { InstanceId: id, Attribute: "userData" }),
  ]);
  const [reservation = {}] = treesAt(described, "reservationSet");
  const [record = {}] = treesAt(reservation, "instancesSet");
  const userData = textAt(treeAt(attribute, "userData"), "value");
  const tags = treesAt(record, "tagSet").map((tag) => [textAt(tag, "key") ?? "", textAt(tag, "value") ?? ""] as const);
  const { state: _state, interfaceIds: _ids, profileArn, ...launched } = instance;
  return {
    ...launched,
    accountId: textAt(reservation, "ownerId") ?? "",
    region: region.name,
    userData: userData === undefined ? undefined : Buffer.from(userData, "base64"),
    tags: Object.fromEntries(tags),
    profile: profileArn === undefined ? undefined : await profile(region.name, profileArn, aws),
    targetLifecycleState: target(region.groups.lifecycleOf(id), instance.state),
  };
}

async function profile(region: string, arn: string, aws: AwsCalls) {
  const answer = await aws("iam", region, "GetInstanceProfile", { InstanceProfileName: arn.split("/").at(-1) ?? "" });
  const [role = {}] = treesAt(treeAt(answer, "InstanceProfile"), "Roles");
  return { arn, role: textAt(role, "RoleName") ?? "", roleArn: textAt(role, "Arn") ?? "" };
}

function target(lifecycle: string | undefined, state: string): InstanceFacts["targetLifecycleState"] {
  if (lifecycle === undefined) return undefined;
  return lifecycle.startsWith("Terminating") || GONE.includes(state) ? "Terminated" : "InService";
}
