import type { Aws } from "../host/aws";
import { type Imds, instanceIdentity } from "../host/imds";
import { completeHook, type LifecycleHook, prolongHook } from "../host/lifecycle-hook";
import { type Log, reason } from "../host/log";
import { BootError } from "./boot-error";
import type { NodeConfiguration } from "./configuration";
import { type BootPaths, joinCluster } from "./join-cluster";
import { failureLine, report } from "./report";
import { type Failure, openJournal, type Step } from "./state";

export interface BootContext {
  readonly configuration: NodeConfiguration;
  readonly imds: Imds;
  readonly connect: (region: string) => Promise<Aws>;
  readonly log: Log;
  readonly paths: BootPaths;
}

/**
 * Takes this instance from power-on to a healthy member of its cluster, and then ends its launch hook.
 *
 * It may run again at any time: after a kill, after a reboot, on `holdfast-node retry`. While it runs, the launch hook is prolonged:
 * a recovery takes the time it takes, within its own deadline.
 *
 * @returns how the boot ended; a failure has been reported, and the instance been given up if that is the policy.
 */
export async function boot({ configuration, imds, connect, log, paths }: BootContext): Promise<"ready" | "failed"> {
  const { cluster, nodeId } = configuration;
  const identity = await instanceIdentity(imds);
  const { instanceId } = identity;
  const aws = await connect(identity.region);
  const journal = await openJournal(paths.state, { instanceId, cluster, nodeId });
  const hook: LifecycleHook = {
    autoScalingGroupName: configuration.autoScalingGroupName,
    hookName: configuration.launchHookName,
    instanceId,
    heartbeatTimeoutSeconds: configuration.launchHookTimeoutSeconds,
  };
  const held = !journal.state.completed;
  const ended = new AbortController();
  const prolonging = held ? prolongHook(aws, hook, log, ended.signal) : undefined;

  try {
    await joinCluster({ configuration, identity, aws, hook, journal, log, paths });
    await journal.record({ outcome: "ready" });
    await report(aws, instanceId, nodeId, "ready", log);
    return "ready";
  } catch (error) {
    const failure = failureOf(error, journal.state.step);
    const line = failureLine(failure);
    log.error(line, { remedy: failure.remedy });
    // A disk that is full keeps nobody from hearing of it.
    await journal.record({ outcome: "failed", failure }).catch(() => {});
    await report(aws, instanceId, nodeId, line, log);
    if (held && configuration.onFailure === "abandon") {
      await completeHook(aws, hook, "ABANDON", log).catch((cause) =>
        log.error("instance not given up", { reason: reason(cause) }),
      );
    }
    return "failed";
  } finally {
    ended.abort();
    await prolonging;
  }
}

function failureOf(error: unknown, step: Step): Failure {
  const message = reason(error);
  if (error instanceof BootError) return { step, code: error.code, message, remedy: error.remedy };
  const remedy = "look at holdfast-node logs, correct the cause, then run holdfast-node retry";
  return { step, code: `${step}-failed`, message, remedy };
}
