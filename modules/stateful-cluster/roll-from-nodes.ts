import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy";
import { SsmDocument } from "@cdktf/provider-aws/lib/ssm-document";
import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { policyDocument } from "../iam/policy-document";
import { checkedRoleName } from "../iam/role-name";
import { CLUSTER_TAG } from "../stateful-node/node-names";
import { jsonTemplate } from "../user-data/json-text";
import { rollDocument } from "./roll-document";
import { rollerStatements } from "./roller-statements";

export interface RollFromNodesProps {
  /** May be a token. */
  readonly clusterName: string;
  /** The cluster's manifest, JSON; may be a token. */
  readonly manifest: string;
  /** The roller for a node, an ES module on one line; may be a token. */
  readonly program: string;
  /** ARN of the nodes' role; may be a token. */
  readonly nodeRoleArn: string;
  /** Terraform condition without which none of it is made. @default - always */
  readonly enabled?: string;
}

/**
 * Lets a roll be started on any node of the cluster, through Systems Manager and with no tools on the operator's side:
 *
 *     aws ssm send-command --document-name kafka-roll --instance-ids i-… --parameters Action=run
 *
 * The roller takes a role of its own, which trusts the nodes' role and nobody else: a node that only serves holds none of
 * its rights, and CloudTrail tells the roller's calls from the node's, by instance. Whoever is root on a node can take that
 * role too, so the module makes none of this unless it is asked to.
 */
export class RollFromNodes extends Construct {
  /** Of the document. */
  public readonly documentName: string;

  public constructor(scope: Construct, id: string, props: RollFromNodesProps) {
    super(scope, id);
    const { clusterName, nodeRoleArn, enabled } = props;
    const { partition, region, accountId } = AwsEnvironment.of(this);
    const names = { role: checkedRoleName(`${clusterName}-roller`), document: `${clusterName}-roll` };
    const role = new IamRole(this, "role", {
      name: names.role,
      description: "Rolls the cluster from one of its nodes.",
      assumeRolePolicy: policyDocument([
        { sid: "NodesRoll", actions: ["sts:AssumeRole"], principals: { AWS: nodeRoleArn } },
      ]),
      tags: { Name: names.role },
    });
    const policy = new IamRolePolicy(this, "role_policy", {
      name: "roll",
      role: names.role,
      policy: policyDocument(
        rollerStatements({
          partition,
          region,
          accountId,
          cluster: clusterName,
          tag: { key: CLUSTER_TAG, value: clusterName },
          changesGroups: true,
          reachesNodes: true,
          nodeRoleArn,
          document: names.document,
        }),
      ),
      dependsOn: [role],
    });
    const document = new SsmDocument(this, "document", {
      name: names.document,
      documentType: "Command",
      documentFormat: "JSON",
      targetType: "/AWS::EC2::Instance",
      content: jsonTemplate(
        rollDocument({
          manifest: Token.asString(Fn.base64gzip(props.manifest)),
          program: props.program,
          documentName: names.document,
          roleArn: `arn:${partition}:iam::${accountId}:role/${names.role}`,
        }),
      ),
      tags: { Name: names.document, [CLUSTER_TAG]: clusterName },
    });
    if (enabled !== undefined) {
      for (const resource of [role, policy, document]) resource.addOverride("count", `\${${enabled} ? 1 : 0}`);
    }
    this.documentName = names.document;
  }
}
