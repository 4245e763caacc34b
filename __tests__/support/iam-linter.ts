/**
 * Rules that hold for all IAM in the project, checked over a whole stack's synthesized Terraform JSON.
 *
 * `lintIam(stack)` gives one line per violation; a test expects none.
 */
import { asList, type OneOrMany, type Statement } from "./iam-policy";
import type { Attributes, Synthesized } from "./synthesize";

/**
 * Actions that AWS authorizes against no resource at all, so that "*" is the only way to allow them. Each group of the AWS
 * Service Authorization Reference leaves their resource column empty.
 */
const WITHOUT_RESOURCE = [
  /^(autoscaling|ec2):Describe[A-Za-z]+$/,
  /^cloudwatch:PutMetricData$/,
  /^ec2messages:[A-Za-z]+$/,
  /^logs:DescribeLogGroups$/,
  /^ssm:UpdateInstanceInformation$/,
  /^ssmmessages:[A-Za-z]+$/,
  /^sts:GetCallerIdentity$/,
];

/** Policies that grant to whoever holds them, and policies of resources, by type and attribute. */
const IDENTITY_POLICIES = { aws_iam_policy: "policy", aws_iam_role_policy: "policy" } as const;
const RESOURCE_POLICIES = {
  aws_iam_role: "assume_role_policy",
  aws_s3_bucket_policy: "policy",
  aws_sns_topic_policy: "policy",
  aws_sqs_queue_policy: "policy",
  aws_vpc_endpoint: "policy",
} as const;

export function lintIam(stack: Synthesized): string[] {
  return [
    ...elements(stack, "aws_iam_role").flatMap(lintRole),
    ...elements(stack, "aws_iam_instance_profile").flatMap(lintOwnership),
    ...elements(stack, "aws_iam_policy").flatMap(lintOwnership),
    ...Object.entries(IDENTITY_POLICIES).flatMap(([type, attribute]) =>
      documents(stack, type, attribute).flatMap(({ address, statements }) =>
        statements.flatMap((statement) => [
          ...lintActions(address, statement),
          ...lintResources(address, statement),
          ...lintMetrics(address, statement),
        ]),
      ),
    ),
    ...dataDocuments(stack).flatMap(({ address, statements }) =>
      statements.flatMap((statement) => [
        ...lintActions(address, statement),
        ...(statement.Principal ? lintPrincipal(address, statement) : lintResources(address, statement)),
        ...lintMetrics(address, statement),
      ]),
    ),
    ...Object.entries(RESOURCE_POLICIES).flatMap(([type, attribute]) =>
      documents(stack, type, attribute).flatMap(({ address, statements }) =>
        statements.flatMap((statement) => [...lintActions(address, statement), ...lintPrincipal(address, statement)]),
      ),
    ),
    ...lintPartitions(stack),
  ];
}

interface Element {
  readonly address: string;
  readonly attributes: Attributes;
}

interface Document {
  readonly address: string;
  readonly statements: readonly Statement[];
}

function lintRole({ address, attributes }: Element): string[] {
  const bounded = attributes["permissions_boundary"] ? [] : [`${address} has no permissions boundary`];
  return [...bounded, ...lintOwnership({ address, attributes })];
}

/** Path and tags say whose an IAM object is. */
function lintOwnership({ address, attributes }: Element): string[] {
  const tagged = Object.keys((attributes["tags"] as object | undefined) ?? {}).length > 0;
  return [...(attributes["path"] ? [] : [`${address} has no path`]), ...(tagged ? [] : [`${address} has no tags`])];
}

function lintActions(address: string, statement: Statement): string[] {
  if (!statement.Action) return [`${address} ${sid(statement)} lists no Action`];
  return asList(statement.Action)
    .filter((action) => action.includes("*"))
    .map((action) => `${address} ${sid(statement)} has a wildcard in action ${action}`);
}

function lintResources(address: string, statement: Statement): string[] {
  if (statement.Effect === "Deny" || !asList(statement.Resource ?? []).includes("*")) return [];
  return asList(statement.Action)
    .filter((action) => !WITHOUT_RESOURCE.some((pattern) => pattern.test(action)))
    .map((action) => `${address} ${sid(statement)} allows ${action} on every resource`);
}

function lintMetrics(address: string, statement: Statement): string[] {
  if (!asList(statement.Action ?? []).includes("cloudwatch:PutMetricData")) return [];
  const bounded = Object.values(statement.Condition ?? {}).some((keys) => "cloudwatch:namespace" in keys);
  return bounded ? [] : [`${address} ${sid(statement)} puts metrics into any namespace`];
}

/** A policy of a resource that admits everyone has to name either the resources or, by a condition, the callers. */
function lintPrincipal(address: string, statement: Statement): string[] {
  const everyone =
    statement.Principal === "*" ||
    Object.values(statement.Principal ?? {}).some((names) => asList(names).includes("*"));
  const unbounded = !statement.Condition && asList(statement.Resource ?? []).includes("*");
  return everyone && unbounded && statement.Effect === "Allow"
    ? [`${address} ${sid(statement)} admits everyone to everything`]
    : [];
}

/** ARNs that name an account were given by a user; the others are ours and hold a partition token. */
function lintPartitions(stack: Synthesized): string[] {
  return (["resource", "data"] as const).flatMap((section) =>
    Object.entries(stack[section] ?? {}).flatMap(([type, named]) =>
      Object.entries(named).flatMap(([name, attributes]) =>
        [...JSON.stringify(attributes).matchAll(/arn:aws[a-z-]*:[\w-]*:[^:"\\]*:([^:"\\]*):[^"\\]*/g)]
          .filter(([, account = ""]) => !/^\d{12}$/.test(account))
          .map(([arn]) => `${type}.${name} has a fixed partition in ${arn}`),
      ),
    ),
  );
}

function elements(stack: Synthesized, type: string): Element[] {
  return Object.entries(stack.resource?.[type] ?? {}).map(([name, attributes]) => ({
    address: `${type}.${name}`,
    attributes,
  }));
}

/** Policies written as JSON; one that is a reference to a policy document is linted there. */
function documents(stack: Synthesized, type: string, attribute: string): Document[] {
  return elements(stack, type).flatMap(({ address, attributes }) => {
    const text = attributes[attribute];
    if (text === undefined || /^\$\{data\.aws_iam_policy_document\.[\w-]+\.json\}$/.test(String(text))) return [];
    return [{ address, statements: (JSON.parse(String(text)) as { Statement: readonly Statement[] }).Statement }];
  });
}

interface DocumentBlock {
  readonly sid?: string;
  readonly effect?: "Allow" | "Deny";
  readonly actions?: OneOrMany;
  readonly resources?: OneOrMany;
  readonly principals?: readonly { readonly type: string; readonly identifiers: OneOrMany }[];
  readonly condition?: readonly { readonly test: string; readonly variable: string; readonly values: OneOrMany }[];
}

function dataDocuments(stack: Synthesized): Document[] {
  return Object.entries(stack.data?.["aws_iam_policy_document"] ?? {}).map(([name, attributes]) => ({
    address: `data.aws_iam_policy_document.${name}`,
    statements: ((attributes["statement"] as readonly DocumentBlock[] | undefined) ?? []).map(fromBlock),
  }));
}

function fromBlock({
  sid,
  effect = "Allow",
  actions = [],
  resources,
  principals,
  condition,
}: DocumentBlock): Statement {
  return {
    ...(sid !== undefined && { Sid: sid }),
    Effect: effect,
    Action: actions,
    ...(resources && { Resource: resources }),
    ...(principals && {
      Principal: Object.fromEntries(principals.map(({ type, identifiers }) => [type, identifiers])),
    }),
    ...(condition && {
      Condition: Object.fromEntries(condition.map(({ test, variable, values }) => [test, { [variable]: values }])),
    }),
  };
}

function sid({ Sid }: Statement): string {
  return Sid ? `statement ${Sid}` : "a statement";
}
