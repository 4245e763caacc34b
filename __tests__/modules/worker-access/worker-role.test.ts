import { type WorkerPermissions, workerFeatures } from "../../../modules/worker-access/worker-policy";
import { WorkerRole, type WorkerRoleProps } from "../../../modules/worker-access/worker-role";
import { decide, policiesOfRole, type Request, SIMULATED } from "../../support/iam-policy";
import { type Synthesized, synthesize, synthesizedResources } from "../../support/synthesize";

const ARN = (service: string, resource: string) =>
  `arn:aws:${service}:${SIMULATED.region}:${SIMULATED.accountId}:${resource}`;
const SECRET = ARN("secretsmanager", "secret:ez-cdc/pool-token-AbCd12");
const KEY = ARN("kms", "key/8a2e1f0c-0000-4000-8000-000000000001");
const QUEUE = ARN("sqs", "content-backup-docs");

const EVERYTHING: WorkerPermissions = {
  autoScalingGroupName: "ez-cdc-production-streaming",
  releases: [{ bucketName: "ez-cdc-releases", prefix: "dbmazz/1.8.0/" }],
  logGroupNames: ["/ez-cdc/workers/production/agent", "/ez-cdc/workers/production/daemons"],
  metricNamespaces: ["EZ-CDC/Workers"],
  token: { store: "secrets-manager", arn: SECRET, kmsKeyArn: KEY },
  queue: { arn: QUEUE, kmsKeyArn: KEY },
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
test("features follow from permissions", () => {
  expect(workerFeatures(EVERYTHING).sort()).toEqual([
    "instance-tags",
    "lifecycle",
    "logs",
    "metrics",
    "queue",
    "releases",
    "session-manager",
    "token-in-secrets-manager",
  ]);
  expect(synthesizedResources(synthesizeRole(), "aws_iam_role")).toHaveLength(1);
});
