import { Fn, Token } from "cdktf";
import type { Construct } from "constructs";
import type { UserData } from "../user-data/user-data";
import {
  type JobSourceReference,
  type TokenReference,
  WORKER_LOG_FILES,
  workerUserData,
} from "../user-data/worker-user-data";
import { cloudWatchAgentConfig } from "../worker-observability/cloudwatch-agent-config";
import { type PoolIdentity, workerNamespace } from "../worker-observability/metrics";
import { agentRelease } from "./agent-release";
import { compact } from "./compact";
import type { FleetContext } from "./fleet-context";
import type { FleetConfig } from "./fleet-keys";
import type { LifecycleHook, LifecycleHooks } from "./lifecycle-hooks";
import type { PoolConfig } from "./pool-keys";
import { workerSlots } from "./worker-slots";

type ControlPlane = NonNullable<FleetConfig["control_plane"]>;

export interface PoolUserDataProps {
  readonly fleet: FleetContext;
  readonly identity: PoolIdentity;
  readonly groupName: string;
  readonly hooks: LifecycleHooks;
  readonly settings: PoolConfig;
}

/** What starts on the instances of a pool. */
export function poolUserData(scope: Construct, id: string, props: PoolUserDataProps): UserData {
  const { fleet, identity, groupName, hooks, settings } = props;
  const { daemon_release, upgrade, proxy, ca_certificates } = fleet.settings;
  const { before_install, after_install } = settings.boot_hooks;
  return workerUserData(scope, id, {
    deployment: identity.deployment,
    pool: identity.pool,
    ...jobSource(fleet, settings),
    autoScalingGroupName: groupName,
    launchHook: hookReference(hooks.launch),
    terminateHook: hookReference(hooks.terminate),
    drain: { mode: settings.drain.mode, deadlineSeconds: settings.drain.deadline_seconds },
    retainOnFailedDrain: settings.drain.retain_on_failure,
    agentRelease: agentRelease(fleet.settings),
    daemonRelease: {
      bucket: daemon_release.bucket,
      region: daemon_release.region,
      keyPrefix: `${daemon_release.key_prefix}/`,
      version: daemon_release.version,
      sha256: compact(daemon_release.sha256),
    },
    slots: workerSlots(settings),
    labels: settings.labels,
    hooks: compact({ beforeInstall: before_install, afterInstall: after_install }),
    ...compact({
      proxy,
      caCertificates: ca_certificates,
      maxJobAgeSeconds: settings.max_job_age_seconds,
      upgrade: upgrade && { releaseKey: upgrade.release_key, gateSeconds: upgrade.gate_seconds },
    }),
    metricsNamespace: workerNamespace(fleet.settings.product),
    cloudWatchAgent: cloudWatchAgentConfig({
      ...identity,
      logGroups: fleet.logGroups,
      agentLog: WORKER_LOG_FILES.agent,
      bootstrapLog: WORKER_LOG_FILES.bootstrap,
    }),
  });
}

/** @throws Error when the queue is in another region, or the pool takes its jobs from a control plane that the fleet has not. */
function jobSource({ settings, region }: FleetContext, { backlog }: PoolConfig): JobSourceReference {
  const { control_plane } = settings;
  if (backlog.queue_arn !== undefined) {
    const regionOfQueue = backlog.queue_arn.split(":")[3];
    if (!Token.isUnresolved(backlog.queue_arn) && regionOfQueue !== region) {
      throw new Error(`backlog.queue_arn (${backlog.queue_arn}) should be in ${region}, the fleet's region`);
    }
    return { queue: { arn: backlog.queue_arn, visibilitySeconds: backlog.visibility_seconds } };
  }
  if (control_plane === undefined) {
    throw new Error("control_plane is needed by a pool without a queue");
  }
  return { controlPlaneUrl: control_plane.url, token: tokenReference(control_plane.token) };
}

function hookReference({ name, heartbeatTimeoutSeconds }: LifecycleHook) {
  return { name, heartbeatTimeoutSeconds };
}

/**
 * Parameter Store is asked by name, which an ARN has behind the word parameter, slash included. A published module gives
 * both, as tokens of which one is null or empty.
 *
 * @throws Error when the token is in neither store.
 */
function tokenReference({ secrets_manager_arn, ssm_parameter_arn }: ControlPlane["token"]): TokenReference {
  if (secrets_manager_arn !== undefined && ssm_parameter_arn !== undefined) {
    const parameterName = Fn.replace(ssm_parameter_arn, "/^arn:.*:parameter/", "");
    return { secretArn: secrets_manager_arn, parameterName };
  }
  if (secrets_manager_arn !== undefined) {
    return { secretArn: secrets_manager_arn };
  }
  const name = ssm_parameter_arn?.split(":parameter", 2)[1];
  if (name === undefined) {
    throw new Error("control_plane.token should have secrets_manager_arn or ssm_parameter_arn");
  }
  return { parameterName: name };
}
