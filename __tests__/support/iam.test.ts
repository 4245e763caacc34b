import { lintIam } from "./iam-linter";
import { decide, type PolicyDocument, parsePolicy, policiesOfRole, type Request, type Statement } from "./iam-policy";
import type { Synthesized } from "./synthesize";

const PARTITION = "${data.aws_partition.current.partition}";
const GOOD_ROLE = {
  name: "worker",
  path: "/holdfast/",
  tags: { Name: "worker" },
  permissions_boundary: "${aws_iam_policy.worker.arn}",
  assume_role_policy: policy({
    Effect: "Allow",
    Principal: { Service: "ec2.amazonaws.com" },
    Action: "sts:AssumeRole",
  }),
};

function policy(...statements: Statement[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements });
}

function withPolicy(...statements: Statement[]): Synthesized {
  const owned = { path: "/holdfast/", tags: { Name: "worker" } };
  return { resource: { aws_iam_policy: { worker: { ...owned, policy: policy(...statements) } } } };
}

describe("R11: the linter finds", () => {
  test.each<[string, Synthesized, string]>([
    [
      "a role without boundary",
      { resource: { aws_iam_role: { a: { ...GOOD_ROLE, permissions_boundary: undefined } } } },
      "aws_iam_role.a has no permissions boundary",
    ],
    [
      "a role without path",
      { resource: { aws_iam_role: { a: { ...GOOD_ROLE, path: undefined } } } },
      "aws_iam_role.a has no path",
    ],
    [
      "a role without tags",
      { resource: { aws_iam_role: { a: { ...GOOD_ROLE, tags: {} } } } },
      "aws_iam_role.a has no tags",
    ],
    [
      "Action *",
      withPolicy({ Sid: "A", Effect: "Allow", Action: "*", Resource: `arn:${PARTITION}:s3:::b` }),
      "aws_iam_policy.worker statement A has a wildcard in action *",
    ],
    [
      "a service's actions as a wildcard",
      withPolicy({ Effect: "Allow", Action: "sqs:*", Resource: `arn:${PARTITION}:sqs:::q` }),
      "aws_iam_policy.worker a statement has a wildcard in action sqs:*",
    ],
    [
      "all actions but some",
      withPolicy({ Sid: "A", Effect: "Allow", NotAction: "iam:*" } as unknown as Statement),
      "aws_iam_policy.worker statement A lists no Action",
    ],
    [
      "Resource * for an action that has resources",
      withPolicy({ Sid: "A", Effect: "Allow", Action: ["s3:GetObject"], Resource: ["*"] }),
      "aws_iam_policy.worker statement A allows s3:GetObject on every resource",
    ],
    [
      "metrics without a namespace",
      withPolicy({ Sid: "A", Effect: "Allow", Action: "cloudwatch:PutMetricData", Resource: "*" }),
      "aws_iam_policy.worker statement A puts metrics into any namespace",
    ],
    [
      "a fixed partition in a policy",
      withPolicy({ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::ez-cdc-releases/*" }),
      "aws_iam_policy.worker has a fixed partition in arn:aws:s3:::ez-cdc-releases/*",
    ],
    [
      "a fixed partition in an attachment",
      { resource: { aws_iam_role_policy_attachment: { a: { policy_arn: "arn:aws:iam::aws:policy/ReadOnlyAccess" } } } },
      "aws_iam_role_policy_attachment.a has a fixed partition in arn:aws:iam::aws:policy/ReadOnlyAccess",
    ],
    [
      "an endpoint that admits everyone to everything",
      {
        resource: {
          aws_vpc_endpoint: {
            s3: {
              policy: policy({ Sid: "A", Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "*" }),
            },
          },
        },
      },
      "aws_vpc_endpoint.s3 statement A admits everyone to everything",
    ],
    [
      "a wildcard within a policy document",
      {
        data: {
          aws_iam_policy_document: {
            node: { statement: [{ sid: "A", actions: ["ec2:*"], resources: [`arn:${PARTITION}:ec2:::a`] }] },
          },
        },
      },
      "data.aws_iam_policy_document.node statement A has a wildcard in action ec2:*",
    ],
  ])("R11: %s", (_, stack, finding) => {
    expect(lintIam(stack)).toEqual([finding]);
  });

  test("R11: the wildcards by which the Session Manager channels are often allowed (defect 12)", () => {
    const actions = ["ssm:UpdateInstanceInformation", "ssmmessages:*", "ec2messages:*"];
    expect(lintIam(withPolicy({ Sid: "A", Effect: "Allow", Action: actions, Resource: "*" }))).toEqual([
      "aws_iam_policy.worker statement A has a wildcard in action ssmmessages:*",
      "aws_iam_policy.worker statement A has a wildcard in action ec2messages:*",
      "aws_iam_policy.worker statement A allows ssmmessages:* on every resource",
      "aws_iam_policy.worker statement A allows ec2messages:* on every resource",
    ]);
  });

  test("R11: nothing in a role that has all it needs, and in an ARN with the account that a user gave", () => {
    const secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:token-AbCd12";
    const stack = withPolicy({ Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secret });
    expect(lintIam({ resource: { ...stack.resource, aws_iam_role: { a: GOOD_ROLE } } })).toEqual([]);
  });
});

describe("the simulator", () => {
  const allow = (statement: Partial<Statement>): PolicyDocument => ({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "ec2:CreateTags", Resource: "*", ...statement }],
  });
  const request: Request = {
    action: "ec2:CreateTags",
    resource: "arn:aws:ec2:eu-west-1:111122223333:instance/i-1",
    context: { "aws:TagKeys": ["a", "b"], "ec2:InstanceID": "i-1" },
  };
  const decideAlone = (statement: Partial<Statement>) =>
    decide({ identity: [allow(statement)], boundary: undefined }, request);

  test.each<[Partial<Statement>, string]>([
    [{}, "allowed"],
    [{ Action: "EC2:createtags" }, "allowed"],
    [{ Action: "ec2:Create*" }, "allowed"],
    [{ Action: "ec2:CreateTag" }, "implicitly denied"],
    [{ Resource: "arn:aws:ec2:*:111122223333:instance/*" }, "allowed"],
    [{ Resource: "arn:aws:ec2:*:instance/*" }, "implicitly denied"],
    [{ Resource: "arn:aws:ec2:*:*:instance/${ec2:InstanceID}" }, "allowed"],
    [{ Resource: "arn:aws:ec2:*:*:instance/${aws:userid}" }, "implicitly denied"],
    [{ Condition: { "ForAllValues:StringEquals": { "aws:TagKeys": ["a", "b", "c"] } } }, "allowed"],
    [{ Condition: { "ForAllValues:StringEquals": { "aws:TagKeys": ["a"] } } }, "implicitly denied"],
    [{ Condition: { StringEquals: { "ec2:instanceid": "i-2" } } }, "implicitly denied"],
    [{ Condition: { StringEquals: { "ec2:Region": "eu-west-1" } } }, "implicitly denied"],
    [{ Condition: { StringLike: { "ec2:InstanceID": "i-?" } } }, "allowed"],
  ])("decides %j: %s", (statement, decision) => {
    expect(decideAlone(statement)).toBe(decision);
  });

  test("lets an explicit deny win, and a boundary bound", () => {
    const deny = allow({ Effect: "Deny" });
    expect(decide({ identity: [allow({}), deny], boundary: undefined }, request)).toBe("explicitly denied");
    expect(decide({ identity: [allow({})], boundary: allow({ Action: "s3:GetObject" }) }, request)).toBe(
      "implicitly denied",
    );
    expect(decide({ identity: [allow({})], boundary: allow({}) }, request)).toBe("allowed");
  });

  test("refuses what it does not know", () => {
    expect(() => decideAlone({ Condition: { NumericLessThan: { "s3:max-keys": "10" } } })).toThrow(
      "the simulator does not know the condition operator NumericLessThan",
    );
    expect(() => parsePolicy({}, policy({ Effect: "Allow", NotAction: "x" } as unknown as Statement))).toThrow(
      "the simulator does not know the policy element NotAction",
    );
    expect(() => parsePolicy({}, policy({ Effect: "Allow", Action: "a:B", Resource: "${aws:userid}" }))).toThrow(
      "Terraform would take ${aws:userid} for an expression: escape it",
    );
    expect(() => policiesOfRole({}, "nobody")).toThrow("no aws_iam_role is named nobody");
  });

  test("evaluates what Terraform would, and unescapes policy variables", () => {
    const stack: Synthesized = { resource: { aws_sqs_queue: { q: { name: "jobs" } } } };
    const text = policy({
      Effect: "Allow",
      Action: "ec2:CreateTags",
      Resource: `arn:${PARTITION}:sqs:\${data.aws_region.r.id}:1:\${aws_sqs_queue.q.name}/$\${ec2:InstanceID}`,
    });
    expect(parsePolicy(stack, text).Statement[0]?.Resource).toBe("arn:aws:sqs:eu-west-1:1:jobs/${ec2:InstanceID}");
  });
});
