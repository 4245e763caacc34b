import type { AwsRequest, Correction } from "../correction";
import { mapTreesAt, type Tree, textAt, treeAt, treesAt, without } from "../tree";

/**
 * A security group rule keeps its description whatever it names; moto keeps that of a block of addresses alone.
 *
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupEgress.html
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html
 */
export function securityGroupRuleDescriptions(): Correction {
  /** By what the rule allows: a request that makes rules does not know their ids. */
  const authorized = new Map<string, string | undefined>();
  /** By id, of the rules that were modified since. */
  const modified = new Map<string, string | undefined>();

  const describe = (result: Tree, request: AwsRequest): Tree =>
    mapTreesAt(result, "securityGroupRuleSet", (rule) => {
      const peer = textAt(treeAt(rule, "referencedGroupInfo"), "groupId") ?? textAt(rule, "prefixListId");
      if (peer === undefined) {
        return rule;
      }
      const id = textAt(rule, "securityGroupRuleId") ?? "";
      const allows = [
        request.region,
        textAt(rule, "groupId"),
        textAt(rule, "isEgress") === "true" ? "egress" : "ingress",
        ...protocolAndPorts(textAt(rule, "ipProtocol"), textAt(rule, "fromPort"), textAt(rule, "toPort")),
        peer,
      ].join();
      const description = modified.has(id) ? modified.get(id) : authorized.get(allows);
      return { ...without(rule, "description"), ...(description && { description }) };
    });

  const authorize = (direction: "ingress" | "egress") => (result: Tree, request: AwsRequest) => {
    const { region, parameters } = request;
    const [made] = treesAt(result, "securityGroupRuleSet");
    const groupId = textAt(parameters, "GroupId") ?? textAt(made ?? {}, "groupId");
    for (const permission of treesAt(parameters, "IpPermissions")) {
      const allows = [
        region,
        groupId,
        direction,
        ...protocolAndPorts(
          textAt(permission, "IpProtocol"),
          textAt(permission, "FromPort"),
          textAt(permission, "ToPort"),
        ),
      ];
      for (const peer of [...treesAt(permission, "Groups"), ...treesAt(permission, "PrefixListIds")]) {
        const name = textAt(peer, "GroupId") ?? textAt(peer, "PrefixListId");
        authorized.set([...allows, name].join(), textAt(peer, "Description"));
      }
    }
    return describe(result, request);
  };

  return {
    service: "ec2",
    answers: {
      AuthorizeSecurityGroupIngress: authorize("ingress"),
      AuthorizeSecurityGroupEgress: authorize("egress"),
      ModifySecurityGroupRules: (result, { parameters }) => {
        for (const update of treesAt(parameters, "SecurityGroupRule")) {
          const id = textAt(update, "SecurityGroupRuleId") ?? "";
          modified.set(id, textAt(treeAt(update, "SecurityGroupRule"), "Description"));
        }
        return result;
      },
      DescribeSecurityGroupRules: describe,
    },
  };
}

/** A rule for every protocol is one for every port, which requests leave out and answers write as -1. */
function protocolAndPorts(protocol: string | undefined, from = "-1", to = "-1"): string[] {
  return protocol === "-1" ? ["-1"] : [protocol ?? "", from, to];
}
