import { declareOutput } from "../modules/publish/variables";
import { fleetSchema } from "../modules/worker-fleet/fleet-schema";
import { poolOutputs } from "../modules/worker-fleet/pool-outputs";
import { WorkerFleet } from "../modules/worker-fleet/worker-fleet";
import { LOG_KINDS } from "../modules/worker-observability/worker-logs";
import { defineKind } from "./deployment-kind";
import type { DeploymentStack } from "./deployment-stack";

/** Pools of workers that take jobs from a control plane. */
export const workerFleet = defineKind({
  kind: "worker-fleet",
  summary: "Pools of workers that take jobs from a control plane, each an Auto Scaling group with what it needs.",
  schema: fleetSchema,
  build(stack, { name, aws, backend: _backend, ...settings }) {
    const fleet = new WorkerFleet(stack, "fleet", {
      deployment: name,
      region: aws.region,
      settings,
      tags: aws.default_tags,
    });
    declareOutputs(stack, fleet);
  },
});

function declareOutputs(stack: DeploymentStack, fleet: WorkerFleet): void {
  const { pools, logs, network, securityGroup, unsafeFlags } = fleet;
  declareOutput(stack, "pools", {
    value: Object.fromEntries([...pools].map(([name, pool]) => [name, poolOutputs(pool, stack.region)])),
    description:
      "Of every pool: its group, role, launch templates and dashboard, and the command for a shell on a worker.",
  });
  declareOutput(stack, "security_group", {
    value: { id: securityGroup.securityGroupId, arn: securityGroup.securityGroupArn },
    description: "Security group of the workers: what they reach names it as a source.",
  });
  declareOutput(stack, "log_groups", {
    value: Object.fromEntries(
      LOG_KINDS.map((kind) => [kind, { name: logs.groupNames[kind], arn: logs.groupArns[kind] }]),
    ),
    description: "Log groups of the agents, the jobs and the hosts.",
  });
  declareOutput(stack, "network", {
    value: { vpc_id: network.vpcId, subnet_ids: network.subnetIds },
    description: "Where the workers run.",
  });
  declareOutput(stack, "unsafe_flags", {
    value: unsafeFlags,
    description: "Protections that this deployment gives up; none in a safe one.",
  });
}
