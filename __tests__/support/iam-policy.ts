/**
 * IAM as far as the project's policies use it: reads the policies out of synthesized Terraform JSON, and decides requests
 * against them the way AWS does. An operator or element that it does not know is an error, never a silent allow.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
import { type Attributes, type Synthesized, synthesizedResources } from "./synthesize";

export type OneOrMany = string | readonly string[];

export interface Statement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: "*" | Readonly<Record<string, OneOrMany>>;
  readonly Action: OneOrMany;
  readonly Resource?: OneOrMany;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMany>>>>;
}

export interface PolicyDocument {
  readonly Version: string;
  readonly Statement: readonly Statement[];
}

/** A call that a worker makes. Context keys are written as in AWS's reference, compared without regard to case. */
export interface Request {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<string, OneOrMany>>;
}

export type Decision = "allowed" | "implicitly denied" | "explicitly denied";

/** Where the simulated requests are made. */
export const SIMULATED = {
  partition: "aws",
  dnsSuffix: "amazonaws.com",
  region: "eu-west-1",
  accountId: "111122223333",
} as const;

const ELEMENTS = new Set(["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]);

/** The policies of a role in synthesized JSON: all that is attached or inline, and the boundary. */
export interface RolePolicies {
  readonly identity: readonly PolicyDocument[];
  readonly boundary: PolicyDocument | undefined;
}

/**
 * Finds a role's policies by the role's name.
 *
 * @throws Error when no role has the name, or an attached policy or boundary is not in the same JSON.
 */
export function policiesOfRole(stack: Synthesized, roleName: string): RolePolicies {
  const role = synthesizedResources(stack, "aws_iam_role").find(({ attributes }) => attributes["name"] === roleName);
  if (!role) throw new Error(`no aws_iam_role is named ${roleName}`);
  const isOfRole = ({ attributes }: { attributes: Attributes }): boolean =>
    [`\${${role.address}.name}`, `\${${role.address}.id}`, roleName].includes(String(attributes["role"]));
  const attached = synthesizedResources(stack, "aws_iam_role_policy_attachment")
    .filter(isOfRole)
    .map(({ attributes }) => managedPolicy(stack, attributes["policy_arn"]));
  const inline = synthesizedResources(stack, "aws_iam_role_policy")
    .filter(isOfRole)
    .map(({ attributes }) => parsePolicy(stack, attributes["policy"]));
  const boundary = role.attributes["permissions_boundary"];
  return { identity: [...attached, ...inline], boundary: boundary ? managedPolicy(stack, boundary) : undefined };
}

function managedPolicy(stack: Synthesized, arn: unknown): PolicyDocument {
  const policy = synthesizedResources(stack, "aws_iam_policy").find(({ address }) => arn === `\${${address}.arn}`);
  if (!policy) throw new Error(`policy ${String(arn)} is not in the synthesized JSON`);
  return parsePolicy(stack, policy.attributes["policy"]);
}

/** The policy that AWS would receive: Terraform expressions evaluated, policy variables unescaped. */
export function parsePolicy(stack: Synthesized, text: unknown): PolicyDocument {
  const document = JSON.parse(evaluate(stack, String(text))) as PolicyDocument;
  for (const element of document.Statement.flatMap((statement) => Object.keys(statement))) {
    if (!ELEMENTS.has(element)) throw new Error(`the simulator does not know the policy element ${element}`);
  }
  return document;
}

function evaluate(stack: Synthesized, text: string): string {
  const known: readonly [RegExp, string][] = [
    [/^data\.aws_partition\.[\w-]+\.partition$/, SIMULATED.partition],
    [/^data\.aws_partition\.[\w-]+\.dns_suffix$/, SIMULATED.dnsSuffix],
    [/^data\.aws_region\.[\w-]+\.(id|name)$/, SIMULATED.region],
    [/^data\.aws_caller_identity\.[\w-]+\.account_id$/, SIMULATED.accountId],
  ];
  const withReferences = text.replace(/(?<!\$)\$\{([^{}]+)\}/g, (whole, expression: string) => {
    if (expression.includes(":"))
      throw new Error(`Terraform would take \${${expression}} for an expression: escape it`);
    const value = known.find(([pattern]) => pattern.test(expression))?.[1] ?? attributeOf(stack, expression);
    return value === undefined ? whole : evaluate(stack, value);
  });
  return withReferences.replace(/\$\$\{/g, () => "${");
}

/** A literal attribute of a resource in the same JSON, such as a name; anything else is known to AWS alone. */
function attributeOf(stack: Synthesized, expression: string): string | undefined {
  const [, address = "", attribute = ""] = /^(\w+\.[\w-]+)\.(\w+)$/.exec(expression) ?? [];
  const [type = ""] = address.split(".");
  const value = synthesizedResources(stack, type).find((resource) => resource.address === address)?.attributes[
    attribute
  ];
  return typeof value === "string" ? value : undefined;
}

/** Decides a request: an explicit deny wins, then both the role's policies and its boundary have to allow. */
export function decide({ identity, boundary }: RolePolicies, request: Request): Decision {
  const documents = boundary ? [...identity, boundary] : identity;
  const matching = (effect: Statement["Effect"], policies: readonly PolicyDocument[]): boolean =>
    policies.some(({ Statement }) => Statement.some((s) => s.Effect === effect && matches(s, request)));
  if (matching("Deny", documents)) return "explicitly denied";
  if (!matching("Allow", identity)) return "implicitly denied";
  return boundary && !matching("Allow", [boundary]) ? "implicitly denied" : "allowed";
}

function matches(statement: Statement, request: Request): boolean {
  const context = lowerKeys(request.context ?? {});
  const resources = asList(statement.Resource ?? []).flatMap((pattern) => substituted(pattern, context));
  return (
    asList(statement.Action).some((pattern) => glob(pattern.toLowerCase(), request.action.toLowerCase())) &&
    resources.some((pattern) => matchesArn(pattern, request.resource)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
      Object.entries(keys).every(([key, values]) => holds(operator, context.get(key.toLowerCase()), values, context)),
    )
  );
}

type Context = ReadonlyMap<string, OneOrMany>;

function holds(operator: string, actual: OneOrMany | undefined, expected: OneOrMany, context: Context): boolean {
  const forAll = operator.startsWith("ForAllValues:");
  const compare = comparison(operator.replace("ForAllValues:", ""));
  const values = asList(expected).flatMap((value) => substituted(value, context));
  if (actual === undefined) return forAll;
  const satisfies = (given: string): boolean => values.some((value) => compare(value, given));
  return forAll ? asList(actual).every(satisfies) : asList(actual).some(satisfies);
}

function comparison(operator: string): (pattern: string, value: string) => boolean {
  switch (operator) {
    case "StringEquals":
      return (pattern, value) => pattern === value;
    case "StringLike":
      return glob;
    case "ArnEquals":
    case "ArnLike":
      return matchesArn;
    default:
      throw new Error(`the simulator does not know the condition operator ${operator}`);
  }
}

/** Puts the request's context in place of policy variables; a variable without a value makes its text match nothing. */
function substituted(text: string, context: Context): string[] {
  let complete = true;
  const result = text.replace(/\$\{([\w:/-]+)\}/g, (whole, key: string) => {
    const value = context.get(key.toLowerCase());
    if (typeof value === "string") return value;
    complete = false;
    return whole;
  });
  return complete ? [result] : [];
}

/** A wildcard stays within its segment; the sixth segment, the resource, may itself hold colons. */
function matchesArn(pattern: string, arn: string): boolean {
  if (pattern === "*") return true;
  const patterns = segments(pattern);
  const values = segments(arn);
  return patterns.length === 6 && values.length === 6 && patterns.every((part, i) => glob(part, values[i] ?? ""));
}

function segments(arn: string): string[] {
  const parts = arn.split(":");
  return [...parts.slice(0, 5), ...(parts.length > 5 ? [parts.slice(5).join(":")] : [])];
}

function glob(pattern: string, value: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${source}$`, "s").test(value);
}

function lowerKeys(context: Readonly<Record<string, OneOrMany>>): Context {
  return new Map(Object.entries(context).map(([key, value]) => [key.toLowerCase(), value]));
}

export function asList(value: OneOrMany): readonly string[] {
  return typeof value === "string" ? [value] : value;
}
