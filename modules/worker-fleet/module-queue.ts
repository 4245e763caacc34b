import type { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { TerraformLocal, Token } from "cdktf";
import { hcl } from "../publish/expressions";
import type { ModuleStack } from "../publish/module-stack";
import type { PoolConfig } from "./pool-keys";

const BACKLOG = "var.pool.backlog";
const KEY = `${BACKLOG}.queue_kms_key_arn`;
const SECRETS = `${BACKLOG}.secret_arns`;

/** Of a pool that a control plane gives its jobs. */
export const NO_QUEUE: PoolConfig["backlog"] = { source: "control-plane", visibility_seconds: 0, secret_arns: [] };

/** Of a pool with a queue, as Terraform knows it; what is optional is put right by {@link overrideQueuePolicy}. */
export const QUEUE: PoolConfig["backlog"] = {
  source: "sqs",
  queue_arn: Token.asString(hcl(`${BACKLOG}.queue_arn`)),
  queue_kms_key_arn: Token.asString(hcl(`coalesce(${KEY}, "none")`)),
  visibility_seconds: Token.asNumber(hcl(`${BACKLOG}.visibility_seconds`)),
  secret_arns: [Token.asString(hcl(`join(",", ${SECRETS})`))],
  messages_per_worker: Token.asNumber(hcl(`coalesce(${BACKLOG}.messages_per_worker, local.slots)`)),
};

/** Leaves out of a role's policy what the pool's settings do not ask for, and writes the secrets into it one by one. */
export function overrideQueuePolicy(stack: ModuleStack, policy: IamPolicy): void {
  new TerraformLocal(stack, "every_statement", policy.policyInput);
  const isAsked =
    `(statement.Sid != "DecryptQueue" || ${KEY} != null) && ` +
    `(statement.Sid != "ReadJobSecrets" || length(${SECRETS}) > 0)`;
  const secrets = `{ for key in ["Resource"] : key => ${SECRETS} if statement.Sid == "ReadJobSecrets" }`;
  const statements = `[for statement in jsondecode(local.every_statement).Statement : merge(statement, ${secrets}) if ${isAsked}]`;
  policy.addOverride("policy", hcl(`jsonencode({ Version = "2012-10-17", Statement = ${statements} })`));
}
