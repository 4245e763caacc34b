import type { AwsEnvironment } from "../iam/aws-environment";
import type { PolicyStatement } from "../iam/policy-document";
import { WORKER_ACTIONS, type WorkerFeature } from "./worker-actions";

/** A release in S3: a version's folder, never a bucket. */
export interface ReleaseLocation {
  readonly bucketName: string;
  /** Folder of one version, with its closing slash: `dbmazz/1.8.0/`. */
  readonly prefix: string;
}

/** Where the pool's registration token is kept. */
export interface TokenLocation {
  /** `either` where only Terraform knows: the ARN then decides which of both stores' actions is of use. */
  readonly store: "secrets-manager" | "parameter-store" | "either";
  /** The secret's full ARN (with its six random characters) or the parameter's. */
  readonly arn: string;
  /** ARN of the customer managed key that encrypts it. @default - the AWS managed key, which needs no permission */
  readonly kmsKeyArn?: string;
}

/** The queue from which a worker takes its work. */
export interface QueueAccess {
  readonly arn: string;
  /** ARN of the customer managed key that encrypts its messages. @default - SQS managed encryption or none */
  readonly kmsKeyArn?: string;
  /** Secrets with the credentials of the jobs, which messages name. @default - none */
  readonly secretArns?: readonly string[];
}

/** What one pool's workers may do. Every string may be a token; the lists are concrete. */
export interface WorkerPermissions {
  /** The pool's own group: the only one whose instances it may complete, heartbeat, protect or mark unhealthy. */
  readonly autoScalingGroupName: string;
  /** @default - none */
  readonly releases?: readonly ReleaseLocation[];
  /** @default - none */
  readonly logGroupNames?: readonly string[];
  /** CloudWatch namespaces into which it may put metrics. @default - none */
  readonly metricNamespaces?: readonly string[];
  /** @default - none */
  readonly token?: TokenLocation;
  /** @default - none */
  readonly queue?: QueueAccess;
  /** Shell access through Session Manager. @default true */
  readonly sessionManager?: boolean;
  /** ARN of the key with which Session Manager encrypts sessions. @default - TLS only */
  readonly sessionKeyArn?: string;
  /** Tag keys that a worker may set on its own instance. @default - none */
  readonly ownTagKeys?: readonly string[];
  /** What the jobs themselves need, such as a backup's target bucket. @default - none */
  readonly additionalStatements?: readonly PolicyStatement[];
}

/** The features that these permissions turn on: what a fleet without internet needs endpoints for. */
export function workerFeatures(permissions: WorkerPermissions): WorkerFeature[] {
  const { releases, logGroupNames, metricNamespaces, token, queue, ownTagKeys } = permissions;
  const features: Readonly<Partial<Record<WorkerFeature, boolean>>> = {
    lifecycle: true,
    releases: isGiven(releases),
    logs: isGiven(logGroupNames),
    metrics: isGiven(metricNamespaces),
    "token-in-secrets-manager": token !== undefined && token.store !== "parameter-store",
    "token-in-parameter-store": token !== undefined && token.store !== "secrets-manager",
    queue: queue !== undefined,
    "job-secrets": isGiven(queue?.secretArns),
    "session-manager": permissions.sessionManager ?? true,
    "encrypted-sessions": permissions.sessionKeyArn !== undefined,
    "instance-tags": isGiven(ownTagKeys),
  };
  return (Object.keys(features) as WorkerFeature[]).filter((feature) => features[feature]);
}

/** The statements of a worker's policy: one per feature, each with the narrowest resource that AWS lets it have. */
export function workerStatements(permissions: WorkerPermissions, aws: AwsEnvironment): PolicyStatement[] {
  const { releases = [], logGroupNames = [], metricNamespaces = [], token, queue, ownTagKeys = [] } = permissions;
  const statements: PolicyStatement[] = [ownGroup(permissions.autoScalingGroupName, aws)];
  if (releases.length > 0) statements.push(releaseRead(releases, aws));
  if (logGroupNames.length > 0) statements.push(ownLogs(logGroupNames, aws));
  if (metricNamespaces.length > 0) statements.push(ownMetrics(metricNamespaces));
  if (token) statements.push(...tokenRead(token, aws));
  if (queue) statements.push(...queueWork(queue, aws));
  if (permissions.sessionManager ?? true) statements.push(...sessionManager(permissions.sessionKeyArn));
  if (ownTagKeys.length > 0) statements.push(ownTags(ownTagKeys, aws));
  return [...statements, ...(permissions.additionalStatements ?? []).map((statement) => inPartition(statement, aws))];
}

/** What a user writes as `arn:aws:` is in the partition that the workers are in. */
function inPartition(statement: PolicyStatement, aws: AwsEnvironment): PolicyStatement {
  if (statement.resources === undefined) return statement;
  return {
    ...statement,
    resources: statement.resources.map((resource) => resource.replace(/^arn:aws:/, `arn:${aws.partition}:`)),
  };
}

/** A group's ARN holds an id that only AWS knows; its name, which cannot hold a colon, pins the rest. */
function ownGroup(name: string, aws: AwsEnvironment): PolicyStatement {
  return {
    sid: "OwnAutoScalingGroup",
    actions: WORKER_ACTIONS.lifecycle,
    resources: [aws.arn("autoscaling", `autoScalingGroup:*:autoScalingGroupName/${name}`)],
  };
}

function releaseRead(releases: readonly ReleaseLocation[], aws: AwsEnvironment): PolicyStatement {
  return {
    sid: "ReadReleases",
    actions: WORKER_ACTIONS.releases,
    resources: releases.map(({ bucketName, prefix }) => aws.objectArn(bucketName, `${prefix}*`)),
  };
}

/** CloudWatch Logs checks stream actions against the group's ARN with a stream part, hence `:*`. */
function ownLogs(groups: readonly string[], aws: AwsEnvironment): PolicyStatement {
  return {
    sid: "WriteOwnLogs",
    actions: WORKER_ACTIONS.logs,
    resources: groups.map((group) => aws.arn("logs", `log-group:${group}:*`)),
  };
}

/** PutMetricData has no resource type: the namespace condition is its only bound. */
function ownMetrics(namespaces: readonly string[]): PolicyStatement {
  return {
    sid: "PutOwnMetrics",
    actions: WORKER_ACTIONS.metrics,
    resources: ["*"],
    conditions: { StringEquals: { "cloudwatch:namespace": namespaces } },
  };
}

/** The store decrypts on the worker's behalf, so the key is usable only through it and only for this one secret. */
function tokenRead({ store, arn, kmsKeyArn }: TokenLocation, aws: AwsEnvironment): PolicyStatement[] {
  if (store === "either") {
    const actions = [...WORKER_ACTIONS["token-in-secrets-manager"], ...WORKER_ACTIONS["token-in-parameter-store"]];
    return [{ sid: "ReadToken", actions, resources: [arn] }];
  }
  const [service, context, feature] =
    store === "secrets-manager"
      ? (["secretsmanager", "SecretARN", "token-in-secrets-manager"] as const)
      : (["ssm", "PARAMETER_ARN", "token-in-parameter-store"] as const);
  const read: PolicyStatement = { sid: "ReadToken", actions: WORKER_ACTIONS[feature], resources: [arn] };
  if (kmsKeyArn === undefined) return [read];
  return [read, decryptThrough("DecryptToken", service, kmsKeyArn, aws, { [`kms:EncryptionContext:${context}`]: arn })];
}

function queueWork({ arn, kmsKeyArn, secretArns = [] }: QueueAccess, aws: AwsEnvironment): PolicyStatement[] {
  const statements: PolicyStatement[] = [{ sid: "WorkOwnQueue", actions: WORKER_ACTIONS.queue, resources: [arn] }];
  if (secretArns.length > 0) {
    statements.push({ sid: "ReadJobSecrets", actions: WORKER_ACTIONS["job-secrets"], resources: secretArns });
  }
  if (kmsKeyArn === undefined) return statements;
  return [
    ...statements,
    decryptThrough("DecryptQueue", "sqs", kmsKeyArn, aws, { "kms:EncryptionContext:aws:sqs:arn": arn }),
  ];
}

/** @see https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service */
function decryptThrough(
  sid: string,
  service: string,
  kmsKeyArn: string,
  aws: AwsEnvironment,
  encryptionContext: Readonly<Record<string, string>>,
): PolicyStatement {
  const via = `${service}.${aws.region}.${aws.dnsSuffix}`;
  return {
    sid,
    actions: ["kms:Decrypt"],
    resources: [kmsKeyArn],
    conditions: { StringEquals: { "kms:ViaService": via, ...encryptionContext } },
  };
}

/**
 * These actions have no resource type. The managed policy AmazonSSMManagedInstanceCore is wider than Session Manager
 * needs: it reads every parameter of the account, and any document, and writes inventory and compliance.
 */
function sessionManager(sessionKeyArn: string | undefined): PolicyStatement[] {
  const channels: PolicyStatement = {
    sid: "SessionManager",
    actions: WORKER_ACTIONS["session-manager"],
    resources: ["*"],
  };
  if (sessionKeyArn === undefined) return [channels];
  return [
    channels,
    { sid: "DecryptSessions", actions: WORKER_ACTIONS["encrypted-sessions"], resources: [sessionKeyArn] },
  ];
}

/**
 * The instance that signs the request must be the one that is tagged. `aws:ARN`, often seen in its place, is no condition
 * key and never matches.
 * @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
 */
function ownTags(tagKeys: readonly string[], aws: AwsEnvironment): PolicyStatement {
  return {
    sid: "TagOwnInstance",
    actions: WORKER_ACTIONS["instance-tags"],
    resources: [aws.arn("ec2", "instance/*")],
    conditions: {
      ArnEquals: { "ec2:SourceInstanceARN": aws.arn("ec2", "instance/${ec2:InstanceID}") },
      "ForAllValues:StringEquals": { "aws:TagKeys": tagKeys },
    },
  };
}

function isGiven(list: readonly unknown[] | undefined): boolean {
  return list !== undefined && list.length > 0;
}
