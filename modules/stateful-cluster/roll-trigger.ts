import { Resource as NullResource } from "@cdktf/provider-null/lib/resource";
import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { escapeTemplate } from "../publish/expressions";
import { CLUSTER_TAG } from "../stateful-node/node-names";
import type { RollTarget } from "../stateful-node/stateful-node";

export interface RollTriggerProps {
  /** May be a token. */
  readonly clusterName: string;
  /** The nodes, in the roller's terms; may be a token, as a whole. */
  readonly nodes: readonly RollTarget[];
  /** Path of the roller's bundle; may be a token. */
  readonly program: string;
  /** Options of `holdfast roll run`; may be a token, as a whole. @default - none */
  readonly options?: string[];
}

/** A cluster's manifest, for `holdfast roll --cluster`: JSON, which names the account, the region and the groups that are meant. */
export function rollManifest(scope: Construct, clusterName: string, nodes: readonly RollTarget[]): string {
  const { accountId, region } = AwsEnvironment.of(scope);
  const tag = { key: CLUSTER_TAG, value: clusterName };
  return Token.asString(Fn.jsonencode({ cluster: clusterName, accountId, region, tag, nodes }));
}

/**
 * Rolls the cluster whenever an apply changes what a node would be launched from, and fails the apply where the roll fails: a
 * null_resource is tainted then, and the next apply rolls again. What is already replaced is not replaced twice.
 *
 * The roller is told account, region, groups and interfaces, and refuses to change anything where its credentials lead elsewhere. It
 * runs where Terraform runs, without a shell: `node <program> run … --yes`.
 * https://developer.hashicorp.com/terraform/language/provisioners#local-exec
 */
export class RollTrigger extends Construct {
  /** The cluster's manifest, for `holdfast roll --cluster`: JSON. */
  public readonly manifest: string;
  public readonly resource: NullResource;

  public constructor(scope: Construct, id: string, props: RollTriggerProps) {
    super(scope, id);
    const { clusterName, nodes, program, options = [] } = props;
    this.manifest = rollManifest(this, clusterName, nodes);
    this.resource = new NullResource(this, "roll_instances", {
      triggers: { nodes: Token.asString(Fn.jsonencode(nodes)) },
      provisioners: [
        {
          type: "local-exec",
          interpreter: Token.isUnresolved(options)
            ? Token.asList(Fn.concat([["node", program, "run"], options]))
            : ["node", program, "run", ...options.map(escapeTemplate)],
          command: "--yes",
          // The one warning there may be is not about the roll, and would stand before its reason.
          environment: { HOLDFAST_CLUSTER: this.manifest, NODE_NO_WARNINGS: "1" },
        },
      ],
    });
  }
}
