import type { Correction } from "../correction";
import { mapTreesAt, type Tree, textAt, without } from "../tree";
import { groupMemory } from "./group-memory";

const NOTIFICATION = ["NotificationTargetARN", "NotificationMetadata", "RoleARN"] as const;

/**
 * A hook notifies whom its requests have named, and nobody where the last one named an empty target; moto answers with the
 * queue and the role of an example.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html
 */
export function lifecycleHookNotifications(): Correction {
  const hooks = groupMemory<Tree>();
  return {
    service: "autoscaling",
    answers: {
      PutLifecycleHook: (result, request) => {
        const name = textAt(request.parameters, "LifecycleHookName") ?? "";
        const said = NOTIFICATION.filter((field) => request.parameters[field] !== undefined).map((field) => [
          field,
          request.parameters[field],
        ]);
        hooks.of(request).set(name, { ...hooks.of(request).get(name), ...Object.fromEntries(said) });
        return result;
      },
      DeleteLifecycleHook: (result, request) => {
        hooks.of(request).delete(textAt(request.parameters, "LifecycleHookName") ?? "");
        return result;
      },
      DeleteAutoScalingGroup: (result, request) => {
        hooks.forget(request);
        return result;
      },
      DescribeLifecycleHooks: (result, request) =>
        mapTreesAt(result, "LifecycleHooks", (hook) => {
          const known = hooks.of(request, hook).get(textAt(hook, "LifecycleHookName") ?? "") ?? {};
          const silent = NOTIFICATION.filter((field) => known[field] === "");
          return { ...without(hook, ...NOTIFICATION), ...without(known, ...silent) };
        }),
    },
  };
}
