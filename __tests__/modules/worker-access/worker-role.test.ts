import { type WorkerPermissions, workerFeatures } from "../../../modules/worker-access/worker-policy";
import { WorkerRole, type WorkerRoleProps } from "../../../modules/worker-access/worker-role";
import { lintIam } from "../../support/iam-linter";
import { decide, policiesOfRole, type Request, SIMULATED } from "../../support/iam-policy";
import { type Synthesized, synthesize, synthesizedResources } from "../../support/synthesize";

const ARN = (service: string, resource: string) =>
  `arn:aws:${service}:${SIMULATED.region}:${SIMULATED.accountId}:${resource}`;
const SECRET = ARN("secretsmanager", "secret:ez-cdc/pool-token-AbCd12");
const KEY = ARN("kms", "key/8a2e1f0c-0000-4000-8000-000000000001");
const QUEUE = ARN("sqs", "content-backup-docs");
const JOB_SECRETS = ARN("secretsmanager", "secret:jobs/*");

const EVERYTHING: WorkerPermissions = {
  autoScalingGroupName: "ez-cdc-production-streaming",
  releases: [{ bucketName: "ez-cdc-releases", prefix: "dbmazz/1.8.0/" }],
  logGroupNames: ["/ez-cdc/workers/production/agent", "/ez-cdc/workers/production/daemons"],
  metricNamespaces: ["EZ-CDC/Workers"],
  token: { store: "secrets-manager", arn: SECRET, kmsKeyArn: KEY },
  queue: { arn: QUEUE, kmsKeyArn: KEY, secretArns: [JOB_SECRETS] },
  ownTagKeys: ["holdfast:boot-reason"],
};

function synthesizeRole(props: Partial<WorkerRoleProps> = {}): Synthesized {
  return synthesize((scope) => {
    new WorkerRole(scope, "access", {
      name: "ez-cdc-production-streaming",
      permissions: EVERYTHING,
      tags: { deployment: "production" },
      ...props,
    });
  });
}

function decision(request: Request, permissions: WorkerPermissions = EVERYTHING) {
  return decide(policiesOfRole(synthesizeRole({ permissions }), "ez-cdc-production-streaming"), request);
}

const group = (name: string) =>
  ARN("autoscaling", `autoScalingGroup:1f2e3d4c-0000-4000-8000-00000000abcd:autoScalingGroupName/${name}`);

describe("R12: a worker serves its own Auto Scaling group", () => {
  const selfService = [
    "autoscaling:CompleteLifecycleAction",
    "autoscaling:RecordLifecycleActionHeartbeat",
    "autoscaling:SetInstanceProtection",
    "autoscaling:SetInstanceHealth",
  ];
  test.each(selfService)("R12: %s is allowed on the own group, denied on any other", (action) => {
    expect(decision({ action, resource: group("ez-cdc-production-streaming") })).toBe("allowed");
    for (const other of ["ez-cdc-production-batch", "ez-cdc-production-streaming-2", "x-ez-cdc-production-streaming"]) {
      expect(decision({ action, resource: group(other) })).toBe("implicitly denied");
    }
  });

  test("R12: the same name in another account or region is denied", () => {
    const own = group("ez-cdc-production-streaming");
    const action = "autoscaling:SetInstanceProtection";
    expect(decision({ action, resource: own.replace(SIMULATED.accountId, "444455556666") })).toBe("implicitly denied");
    expect(decision({ action, resource: own.replace(SIMULATED.region, "us-east-1") })).toBe("implicitly denied");
  });

  test("R12: nothing that changes a group's size or deletes it is allowed, not even on the own one", () => {
    for (const action of ["SetDesiredCapacity", "UpdateAutoScalingGroup", "TerminateInstanceInAutoScalingGroup"]) {
      expect(decision({ action: `autoscaling:${action}`, resource: group("ez-cdc-production-streaming") })).toBe(
        "implicitly denied",
      );
    }
  });
});
const instance = (id: string) => ARN("ec2", `instance/${id}`);

describe("defect 8: what workers write, they may write, and to nowhere else", () => {
  const stream = (group: string) => ARN("logs", `log-group:${group}:log-stream:i-0abc/agent.log`);
  test.each(["logs:CreateLogStream", "logs:PutLogEvents"])("defect 8: %s on the own groups only", (action) => {
    expect(decision({ action, resource: stream("/ez-cdc/workers/production/agent") })).toBe("allowed");
    expect(decision({ action, resource: stream("/ez-cdc/workers/production/agent-2") })).toBe("implicitly denied");
    expect(decision({ action, resource: stream("/ez-cdc/workers/staging/agent") })).toBe("implicitly denied");
  });

  test.each(["logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogStream"])(
    "defect 8: never %s",
    (action) => {
      expect(decision({ action, resource: stream("/ez-cdc/workers/production/agent") })).toBe("implicitly denied");
    },
  );

  test("defect 8: metrics go into the own namespace only", () => {
    const put = (namespace: string): Request => ({
      action: "cloudwatch:PutMetricData",
      resource: "*",
      context: { "cloudwatch:namespace": namespace },
    });
    expect(decision(put("EZ-CDC/Workers"))).toBe("allowed");
    expect(decision(put("AWS/EC2"))).toBe("implicitly denied");
  });

  test("defect 8: without log groups and namespaces there is no permission to write", () => {
    const permissions = { autoScalingGroupName: "ez-cdc-production-streaming" };
    const actions = policiesOfRole(synthesizeRole({ permissions }), "ez-cdc-production-streaming")
      .identity.flatMap(({ Statement }) => Statement)
      .flatMap(({ Action }) => Action);
    expect(actions).not.toContainEqual(expect.stringMatching(/^(logs|cloudwatch):/));
  });
});

test("defect 12: Session Manager works with its five actions; no wildcard, no Run Command queue, no parameter of others", () => {
  for (const action of [
    "ssmmessages:OpenControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssm:UpdateInstanceInformation",
  ]) {
    expect(decision({ action, resource: "*" })).toBe("allowed");
  }
  expect(decision({ action: "ec2messages:GetMessages", resource: "*" })).toBe("implicitly denied");
  expect(decision({ action: "ssm:GetParameter", resource: ARN("ssm", "parameter/payments/db-password") })).toBe(
    "implicitly denied",
  );
  expect(lintIam(synthesizeRole())).toEqual([]);
});

describe("R11: every role of a worker", () => {
  test("R11: passes the linter with all features on, and with none", () => {
    expect(lintIam(synthesizeRole())).toEqual([]);
    expect(lintIam(synthesizeRole({ permissions: { autoScalingGroupName: "a" }, tags: {} }))).toEqual([]);
  });

  test("R11: is bounded by its own policy, so that a policy attached later adds nothing", () => {
    const { identity, boundary } = policiesOfRole(synthesizeRole(), "ez-cdc-production-streaming");
    const administrator = {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
    } as const;
    const taken = { identity: [...identity, administrator], boundary };
    expect(decide(taken, { action: "iam:CreateUser", resource: "arn:aws:iam::111122223333:user/x" })).toBe(
      "implicitly denied",
    );
    expect(decide(taken, { action: "ssmmessages:OpenDataChannel", resource: "*" })).toBe("allowed");
  });

  test("R11: takes the boundary, path, tags and session length that it is given", () => {
    const boundary = "arn:aws:iam::111122223333:policy/platform/boundary";
    const given = { permissionsBoundaryArn: boundary, path: "/platform/", maxSessionSeconds: 7200 };
    expect(synthesizedResources(synthesizeRole(given), "aws_iam_role")[0]?.attributes).toMatchObject({
      permissions_boundary: boundary,
      path: "/platform/",
      max_session_duration: 7200,
      tags: { deployment: "production", Name: "ez-cdc-production-streaming" },
    });
  });
});

describe("a worker's secrets and work", () => {
  test("the token is read exactly, and its key is usable through Secrets Manager for that secret only", () => {
    expect(decision({ action: "secretsmanager:GetSecretValue", resource: SECRET })).toBe("allowed");
    expect(decision({ action: "secretsmanager:GetSecretValue", resource: `${SECRET}x` })).toBe("implicitly denied");
    const decrypt = (via: string, secret: string): Request => ({
      action: "kms:Decrypt",
      resource: KEY,
      context: { "kms:ViaService": via, "kms:EncryptionContext:SecretARN": secret },
    });
    expect(decision(decrypt("secretsmanager.eu-west-1.amazonaws.com", SECRET))).toBe("allowed");
    expect(decision(decrypt("secretsmanager.eu-west-1.amazonaws.com", `${SECRET}x`))).toBe("implicitly denied");
    expect(decision(decrypt("s3.eu-west-1.amazonaws.com", SECRET))).toBe("implicitly denied");
    expect(decision({ action: "kms:Decrypt", resource: KEY })).toBe("implicitly denied");
  });

  test("a token in Parameter Store is read by name, decrypted in its context", () => {
    const arn = ARN("ssm", "parameter/ez-cdc/pool-token");
    const permissions: WorkerPermissions = { ...EVERYTHING, token: { store: "parameter-store", arn, kmsKeyArn: KEY } };
    expect(decision({ action: "ssm:GetParameter", resource: arn }, permissions)).toBe("allowed");
    expect(decision({ action: "ssm:GetParametersByPath", resource: arn }, permissions)).toBe("implicitly denied");
    const context = { "kms:ViaService": "ssm.eu-west-1.amazonaws.com", "kms:EncryptionContext:PARAMETER_ARN": arn };
    expect(decision({ action: "kms:Decrypt", resource: KEY, context }, permissions)).toBe("allowed");
  });

  test("releases are read in the version's folder only", () => {
    const read = (key: string): Request => ({
      action: "s3:GetObject",
      resource: `arn:aws:s3:::ez-cdc-releases/${key}`,
    });
    expect(decision(read("dbmazz/1.8.0/dbmazz-linux-arm64"))).toBe("allowed");
    expect(decision(read("dbmazz/1.8.0-rc1/dbmazz-linux-arm64"))).toBe("implicitly denied");
    expect(decision(read("dbmazz/latest/dbmazz-linux-arm64"))).toBe("implicitly denied");
  });

  test("a queue is worked, not filled or purged", () => {
    expect(decision({ action: "sqs:ReceiveMessage", resource: QUEUE })).toBe("allowed");
    expect(decision({ action: "sqs:ReceiveMessage", resource: `${QUEUE}-dlq` })).toBe("implicitly denied");
    const read = (name: string) =>
      decision({ action: "secretsmanager:GetSecretValue", resource: ARN("secretsmanager", `secret:${name}-Ab12Cd`) });
    expect(read("jobs/orders")).toBe("allowed");
    expect(read("payments/orders")).toBe("implicitly denied");
    for (const action of ["sqs:SendMessage", "sqs:PurgeQueue"]) {
      expect(decision({ action, resource: QUEUE })).toBe("implicitly denied");
    }
  });

  test("an instance tags itself only, and only with the keys that it is given", () => {
    const tag = (source: string, target: string, key: string): Request => ({
      action: "ec2:CreateTags",
      resource: instance(target),
      context: { "ec2:SourceInstanceARN": instance(source), "ec2:InstanceID": target, "aws:TagKeys": [key] },
    });
    expect(decision(tag("i-0a", "i-0a", "holdfast:boot-reason"))).toBe("allowed");
    expect(decision(tag("i-0a", "i-0b", "holdfast:boot-reason"))).toBe("implicitly denied");
    expect(decision(tag("i-0a", "i-0a", "Name"))).toBe("implicitly denied");
  });

  test("what jobs need on top is part of the policy, and so within the boundary", () => {
    const resources = ["arn:aws:s3:::content-backups-111122223333/docs/*"];
    const additionalStatements = [{ sid: "Backups", actions: ["s3:PutObject"], resources }];
    const request = { action: "s3:PutObject", resource: "arn:aws:s3:::content-backups-111122223333/docs/1" };
    expect(decision(request, { ...EVERYTHING, additionalStatements })).toBe("allowed");
    expect(decision(request)).toBe("implicitly denied");
  });
});

test("the policy with every feature stays well within the 6,144 characters of a managed policy", () => {
  const [policy] = policiesOfRole(synthesizeRole(), "ez-cdc-production-streaming").identity;
  expect(JSON.stringify(policy).length).toBeLessThan(3_500);
});

test("features follow from permissions", () => {
  expect(workerFeatures(EVERYTHING).sort()).toEqual([
    "instance-tags",
    "job-secrets",
    "lifecycle",
    "logs",
    "metrics",
    "queue",
    "releases",
    "session-manager",
    "token-in-secrets-manager",
  ]);
  expect(workerFeatures({ autoScalingGroupName: "a", sessionManager: false })).toEqual(["lifecycle"]);
});

const permissions = (changes: Partial<WorkerPermissions>): Partial<WorkerRoleProps> => ({
  permissions: { ...EVERYTHING, ...changes },
});
test.each<[Partial<WorkerRoleProps>, string]>([
  [{ name: "n".repeat(65) }, "has 65 characters; IAM admits 64: shorten it"],
  [{ name: "ez cdc" }, "role name (ez cdc) may have letters, digits and +=,.@-_ only"],
  [
    { tags: { Owner: "data", owner: "platform" } },
    "role ez-cdc-production-streaming has the tags Owner and owner, which are one to IAM: rename the one that is yours",
  ],
  [
    { tags: { name: "worker" } },
    "role ez-cdc-production-streaming has the tags name and Name, which are one to IAM: rename the one that is yours",
  ],
  [{ path: "workers" }, "path (workers) must begin and end with a slash: /workers/"],
  [{ maxSessionSeconds: 60 }, "maxSessionSeconds (60) must be between 3600 and 43200"],
  [
    permissions({ autoScalingGroupName: "ez-cdc-*" }),
    "autoScalingGroupName (ez-cdc-*) has a wildcard: name the one it is",
  ],
  [permissions({ logGroupNames: ["/ez-cdc/workers/*"] }), "logGroupNames[0] (/ez-cdc/workers/*) has a wildcard"],
  [
    permissions({ releases: [{ bucketName: "b", prefix: "dbmazz/1.8.0" }] }),
    "releases[0].prefix (dbmazz/1.8.0) must be a version's folder",
  ],
  [permissions({ releases: [{ bucketName: "b", prefix: "" }] }), "releases[0].prefix () must be a version's folder"],
  [
    permissions({ token: { store: "secrets-manager", arn: ARN("secretsmanager", "secret:ez-cdc/pool-token") } }),
    "is not the full ARN of a secretsmanager entry; aws secretsmanager describe-secret --secret-id NAME --query ARN prints it",
  ],
  [permissions({ token: { store: "parameter-store", arn: SECRET } }), "is not the full ARN of a ssm entry"],
  [
    permissions({ additionalStatements: [{ sid: "A", actions: ["s3:*"], resources: ["*"] }] }),
    "additionalStatements[0] (A) allows s3:*: list the actions that the jobs call",
  ],
  [
    permissions({ additionalStatements: [{ sid: "ReadToken", actions: ["s3:GetObject"], resources: ["*"] }] }),
    'policy statement "ReadToken" is given twice: sids are unique within a policy',
  ],
])("refuses %j", (props, message) => {
  expect(() => synthesizeRole(props)).toThrow(message);
});
