import { awsCalls } from "../emulator/aws-calls";
import type { Emulator } from "../emulator/moto";
import { textAt, treeAt } from "../emulator/tree";

interface NetworkInterface {
  readonly subnet_id: string;
  readonly private_ips: readonly string[];
}

/** As far as it is looked at here. */
export interface TerraformJson {
  readonly provider: { readonly aws: readonly { readonly region: string }[] };
  readonly resource: { readonly aws_network_interface?: Readonly<Record<string, NetworkInterface>> };
}

/**
 * Makes, in the emulated AWS, what a stack names and does not make: the subnets of its network interfaces, around the addresses that they
 * have there, each in a zone of its own as far as there are zones, and its security groups.
 *
 * @returns the stack's JSON with the names of what was made.
 */
export async function withItsNetwork(json: string, emulator: Emulator): Promise<string> {
  const { provider, resource } = JSON.parse(json) as TerraformJson;
  const region = provider.aws[0]?.region ?? "us-west-2";
  const ec2 = (action: string, parameters: Record<string, string>) =>
    awsCalls(emulator.url)("ec2", region, action, parameters);
  const ranges = new Map<string, string>();
  for (const { subnet_id, private_ips } of Object.values(resource.aws_network_interface ?? {})) {
    const [a, b, c] = private_ips[0]?.split(".") ?? [];
    if (subnet_id.startsWith("subnet-")) ranges.set(subnet_id, [a, b, c].join("."));
  }
  if (ranges.size === 0) return json;

  const made = new Map<string, string>();
  const [first = ""] = ranges.values();
  const vpc = treeAt(await ec2("CreateVpc", { CidrBlock: `${first.split(".").slice(0, 2).join(".")}.0.0/16` }), "vpc");
  const VpcId = textAt(vpc, "vpcId") ?? "";
  for (const [index, [named, range]] of [...ranges].entries()) {
    const AvailabilityZone = `${region}${"abc"[index % 3]}`;
    const subnet = await ec2("CreateSubnet", { VpcId, CidrBlock: `${range}.0/24`, AvailabilityZone });
    made.set(named, textAt(treeAt(subnet, "subnet"), "subnetId") ?? "");
  }
  for (const named of new Set(json.match(/\bsg-[0-9a-f]{17}\b/g))) {
    const group = await ec2("CreateSecurityGroup", {
      VpcId,
      GroupName: named.replace("-", ""),
      GroupDescription: named,
    });
    made.set(named, textAt(group, "groupId") ?? "");
  }
  return [...made].reduce((text, [named, id]) => text.replaceAll(named, id), json);
}
