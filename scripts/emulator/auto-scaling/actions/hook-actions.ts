import { validationError } from "../../aws-error";
import type { AwsRequest, Correction } from "../../correction";
import type { Regions } from "../../regions";
import { type Tree, textAt, without } from "../../tree";
import type { LifecycleHook } from "../group";
import { type GroupRecord, type GroupRecords, recordKey } from "../group-records";
import type { WaitName } from "../hook-waits";
import { hookTree } from "../shapes";
import { texts } from "./paging";

const NOTIFICATION = ["NotificationTargetARN", "NotificationMetadata", "RoleARN"] as const;
const USUAL_HEARTBEAT_MS = 3_600_000;
const LONGEST_WAIT_MS = 172_800_000;

/** Lifecycle hooks, and the waits in them. */
export function hookActions(regions: Regions, records: GroupRecords): Correction {
  const named = (request: AwsRequest) => {
    const name = textAt(request.parameters, "AutoScalingGroupName") ?? "";
    const group = regions.of(request.region).groups.group(name);
    return { name, group, record: records.get(recordKey(request.region, name)) as GroupRecord };
  };
  return {
    service: "autoscaling",
    replies: {
      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html */
      PutLifecycleHook: async (request) => {
        const { group, record } = named(request);
        const hookName = textAt(request.parameters, "LifecycleHookName") ?? "";
        const before = group.hooks.get(hookName);
        group.hooks.set(hookName, hookOf(request.parameters, before));
        const said = { ...record.notifications.get(hookName), ...notificationOf(request.parameters) };
        record.notifications.set(hookName, said);
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteLifecycleHook.html */
      DeleteLifecycleHook: async (request) => {
        const { group, record } = named(request);
        const hookName = textAt(request.parameters, "LifecycleHookName") ?? "";
        if (!group.hooks.delete(hookName)) {
          throw validationError(`No Lifecycle Hook found with name: ${hookName}`);
        }
        record.notifications.delete(hookName);
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLifecycleHooks.html */
      DescribeLifecycleHooks: async (request) => {
        const { name, group, record } = named(request);
        const wanted = texts(request.parameters["LifecycleHookNames"]);
        const hooks = [...group.hooks.values()].filter((hook) => wanted.length === 0 || wanted.includes(hook.name));
        return { LifecycleHooks: hooks.map((hook) => hookTree(name, hook, notified(record, hook.name))) };
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CompleteLifecycleAction.html */
      CompleteLifecycleAction: async (request) => {
        const result = textAt(request.parameters, "LifecycleActionResult");
        if (result !== "CONTINUE" && result !== "ABANDON") {
          throw validationError("Invalid LifecycleActionResult: it is CONTINUE or ABANDON.");
        }
        regions.of(request.region).groups.completeHook(waitName(request.parameters), result);
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html */
      RecordLifecycleActionHeartbeat: async ({ region, parameters }) => {
        regions.of(region).groups.heartbeat(waitName(parameters));
        return {};
      },
    },
  };
}

/**
 * A hook as a request describes it; what it leaves open is as it was before. The longest wait is a hundred times the
 * heartbeat, or 48 hours.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LifecycleHook.html
 *
 * @throws AwsError ValidationError
 */
export function hookOf(parameters: Tree, before?: LifecycleHook): LifecycleHook {
  const transition = textAt(parameters, "LifecycleTransition");
  if (transition === undefined && !before) {
    throw validationError("A lifecycle transition must be specified for a new lifecycle hook.");
  }
  const seconds = textAt(parameters, "HeartbeatTimeout");
  const heartbeatMs = seconds === undefined ? (before?.heartbeatMs ?? USUAL_HEARTBEAT_MS) : Number(seconds) * 1_000;
  if (!(heartbeatMs >= 30_000 && heartbeatMs <= 7_200_000)) {
    throw validationError("Heartbeat timeout must be between 30 and 7200 seconds.");
  }
  const result = textAt(parameters, "DefaultResult") ?? before?.defaultResult ?? "ABANDON";
  return {
    name: textAt(parameters, "LifecycleHookName") ?? "",
    transition:
      transition === undefined
        ? (before?.transition ?? "launching")
        : transition === "autoscaling:EC2_INSTANCE_LAUNCHING"
          ? "launching"
          : "terminating",
    heartbeatMs,
    globalMs: Math.min(LONGEST_WAIT_MS, 100 * heartbeatMs),
    defaultResult: result === "CONTINUE" ? "CONTINUE" : "ABANDON",
  };
}

/** Whom a request makes its hook notify. */
export function notificationOf(parameters: Tree): Tree {
  return Object.fromEntries(
    NOTIFICATION.flatMap((field) => (parameters[field] === undefined ? [] : [[field, parameters[field]]])),
  ) as Tree;
}

/** An empty target is nobody. */
function notified({ notifications }: GroupRecord, hook: string): Tree {
  const known = notifications.get(hook) ?? {};
  return without(known, ...NOTIFICATION.filter((field) => known[field] === ""));
}

function waitName(parameters: Tree): WaitName {
  const instanceId = textAt(parameters, "InstanceId");
  const token = textAt(parameters, "LifecycleActionToken");
  return {
    group: textAt(parameters, "AutoScalingGroupName") ?? "",
    hook: textAt(parameters, "LifecycleHookName") ?? "",
    ...(instanceId === undefined ? {} : { instanceId }),
    ...(token === undefined ? {} : { token }),
  };
}
