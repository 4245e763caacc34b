import { Token } from "cdktf";

/** One statement of an IAM policy. Strings may be tokens; lists are concrete. */
export interface PolicyStatement {
  /** Unique in its document, letters and digits; what a reader of the plan looks for. */
  readonly sid: string;
  /** @default Allow */
  readonly effect?: "Allow" | "Deny";
  /** Of trust and endpoint policies: `"*"` or principal type to names. @default - none: an identity policy */
  readonly principals?: "*" | Readonly<Record<string, string>>;
  readonly actions: readonly string[];
  /** @default - none: a trust policy */
  readonly resources?: readonly string[];
  /** Operator to condition key to the values it admits. */
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/**
 * Renders an IAM policy as the JSON text that AWS stores, so that the plan shows the policy itself.
 *
 * Tokens inside strings stay Terraform expressions (an ARN made of names and of `AwsEnvironment` is known at plan time).
 * IAM policy variables such as `${ec2:InstanceID}` are escaped, or Terraform would take them for its own templates.
 *
 * @throws Error for a list that is a token (its values cannot be written into JSON text) and for a repeated sid.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
export function policyDocument(statements: readonly PolicyStatement[]): string {
  const sids = new Set<string>();
  for (const { sid } of statements) {
    if (sids.has(sid)) throw new Error(`policy statement "${sid}" is given twice: sids are unique within a policy`);
    sids.add(sid);
  }
  return escapePolicyVariables(JSON.stringify({ Version: "2012-10-17", Statement: statements.map(render) }));
}

function render(statement: PolicyStatement): Record<string, unknown> {
  const { sid, effect = "Allow", principals, actions, resources, conditions } = statement;
  assertConcrete(sid, "actions", actions);
  if (resources) assertConcrete(sid, "resources", resources);
  return {
    Sid: sid,
    Effect: effect,
    ...(principals && { Principal: principals }),
    Action: actions,
    ...(resources && { Resource: resources }),
    ...(conditions && { Condition: conditions }),
  };
}

function assertConcrete(sid: string, field: string, list: readonly string[]): void {
  if (Token.isUnresolved(list)) {
    throw new Error(
      `policy statement "${sid}": ${field} is a list known only to Terraform; give a list of (possibly unknown) strings`,
    );
  }
  if (list.length === 0) throw new Error(`policy statement "${sid}": ${field} is empty; IAM refuses it`);
}

function escapePolicyVariables(json: string): string {
  return json.replace(/([$%])\{(?!TfToken\[)/g, "$1$1{");
}
