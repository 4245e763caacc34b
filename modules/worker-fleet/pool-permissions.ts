import { conditional, Fn, Op, Token } from "cdktf";
import { builtAgent } from "../user-data/agent-build";
import { BOOT_TAG_KEY } from "../user-data/worker-user-data";
import type { ReleaseLocation, TokenLocation, WorkerPermissions } from "../worker-access/worker-policy";
import { workerNamespace } from "../worker-observability/metrics";
import { LOG_KINDS } from "../worker-observability/worker-logs";
import { agentRelease } from "./agent-release";
import { compact } from "./compact";
import type { FleetContext } from "./fleet-context";
import type { FleetConfig } from "./fleet-keys";
import type { PoolConfig } from "./pool-keys";

/** What the workers of a pool may do: what its settings make them do, in their own group, and nothing else. */
export function poolPermissions(
  settings: FleetContext["settings"],
  logGroups: FleetContext["logGroups"],
  groupName: string,
  pool: PoolConfig,
): WorkerPermissions {
  const agent = agentRelease(settings);
  const { queue_arn, queue_kms_key_arn, secret_arns } = pool.backlog;
  const ofVersion = (version: string) => versionFolder(settings, version);
  return {
    autoScalingGroupName: groupName,
    releases: [
      { bucketName: agent.bucket, prefix: `${agent.keyPrefix}${ofVersion(builtAgent().version)}` },
      releaseLocation(settings.daemon_release, ofVersion),
    ],
    logGroupNames: LOG_KINDS.map((kind) => logGroups[kind]),
    metricNamespaces: [workerNamespace(settings.product)],
    ownTagKeys: [BOOT_TAG_KEY],
    additionalStatements: settings.iam.additional_statements.map(compact),
    ...compact({
      token: queue_arn === undefined ? tokenLocation(settings.control_plane?.token ?? {}) : undefined,
      queue:
        queue_arn === undefined
          ? undefined
          : { arn: queue_arn, secretArns: secret_arns, ...compact({ kmsKeyArn: queue_kms_key_arn }) },
      sessionKeyArn: settings.session_kms_key_arn,
    }),
  };
}

/** With upgrades workers may read every version: which of them they install is decided by its signature. */
function versionFolder({ upgrade }: FleetContext["settings"], version: string): string {
  if (upgrade === undefined) return `${version}/`;
  if (!Token.isUnresolved(upgrade.release_key)) return "";
  const hasNone = Op.eq(upgrade.release_key, Token.nullValue());
  return Token.asString(conditional(hasNone, Fn.join("/", [version, ""]), ""));
}

function releaseLocation(
  { bucket, key_prefix, version }: FleetConfig["daemon_release"],
  ofVersion: (version: string) => string,
): ReleaseLocation {
  return { bucketName: bucket, prefix: `${key_prefix}/${ofVersion(version)}` };
}

/** @throws Error when the token is in neither store. */
function tokenLocation(token: NonNullable<FleetConfig["control_plane"]>["token"]): TokenLocation {
  const key = compact({ kmsKeyArn: token.kms_key_arn });
  if (token.secrets_manager_arn !== undefined && token.ssm_parameter_arn !== undefined) {
    return { store: "either", arn: Fn.coalesce([token.secrets_manager_arn, token.ssm_parameter_arn]) };
  }
  if (token.secrets_manager_arn !== undefined) {
    return { store: "secrets-manager", arn: token.secrets_manager_arn, ...key };
  }
  if (token.ssm_parameter_arn !== undefined) {
    return { store: "parameter-store", arn: token.ssm_parameter_arn, ...key };
  }
  throw new Error("control_plane.token should have secrets_manager_arn or ssm_parameter_arn");
}
