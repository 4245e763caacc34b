import type { ITerraformDependable } from "cdktf";
import type { LogKind } from "../worker-observability/worker-logs";
import type { FleetConfig } from "./fleet-keys";

/** What the pools of a fleet share; strings may be tokens. */
export interface FleetContext {
  readonly deployment: string;
  readonly region: string;
  readonly settings: Omit<FleetConfig, "pools" | "network" | "egress">;
  /** Subnets of the workers; the list may be a token. */
  readonly subnetIds: readonly string[];
  readonly securityGroupId: string;
  readonly logGroups: Readonly<Record<LogKind, string>>;
  /** What has to be there before a worker can boot: ways out, log groups, grants. */
  readonly bootsAfter: readonly ITerraformDependable[];
  /** Tags of everything in the deployment, given to instances too. */
  readonly tags: Readonly<Record<string, string>>;
}
