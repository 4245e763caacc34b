/**
 * What a worker may ask of AWS, by feature: the one list behind a worker's IAM policy, the endpoints of a fleet without
 * internet, and the policies of those endpoints.
 */
export const WORKER_ACTIONS = {
  /** Fetch the daemon and agent releases. */
  releases: ["s3:GetObject"],
  /** Install Amazon Linux packages; its repositories are public S3 buckets. */
  "os-packages": ["s3:GetObject"],
  /**
   * Shell access through Session Manager, with no port open.
   * @see https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
   */
  "session-manager": [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
  ],
  /** Run Command for an SSM agent older than 3.3.40.0, which does not yet use ssmmessages for it. */
  "legacy-run-command": [
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
  ],
  /** Session Manager sessions encrypted with a KMS key: the SSM agent itself decrypts the session's data key. */
  "encrypted-sessions": ["kms:Decrypt"],
  /** Hold and complete the own lifecycle hooks, protect itself while a job runs, report itself unhealthy. */
  lifecycle: [
    "autoscaling:CompleteLifecycleAction",
    "autoscaling:RecordLifecycleActionHeartbeat",
    "autoscaling:SetInstanceHealth",
    "autoscaling:SetInstanceProtection",
  ],
  /** Write to log groups that exist: no right to create a group or to change its retention. */
  logs: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
  metrics: ["cloudwatch:PutMetricData"],
  "token-in-secrets-manager": ["secretsmanager:GetSecretValue"],
  "token-in-parameter-store": ["ssm:GetParameter"],
  queue: ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
  /** Read the credentials of jobs that come from a queue. */
  "job-secrets": ["secretsmanager:GetSecretValue"],
  /** Tag the own instance, so that a failed boot says why in the console. */
  "instance-tags": ["ec2:CreateTags"],
  /** Prove who it is with a signed GetCallerIdentity request; IAM needs no permission for it. */
  "caller-identity": ["sts:GetCallerIdentity"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** Something a worker does that needs AWS. */
export type WorkerFeature = keyof typeof WORKER_ACTIONS;
