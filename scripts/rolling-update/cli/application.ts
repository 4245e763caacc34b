import type { Clock } from "../clock";
import { clusterAdapter } from "../clusters/kinds";
import { drainCommand } from "../drain-command";
import { drainOnNode } from "../drain-on-node";
import type { ManifestNode } from "../manifest";
import type { NodeChannel } from "../node-channel";
import { type ClusterProbe, type Drain, noProbe } from "../probe";
import { commandCheck, httpCheck, majorityProbe, onNodeCheck, tcpCheck } from "../probes/node-checks";
import { RollError } from "../roll-error";
import type { Settings } from "../settings";

const CHECK_TIMEOUT_MS = 5_000;
/** A command through Systems Manager takes seconds to be fetched. */
const ON_NODE_TIMEOUT_MS = 30_000;

/** How the settings say that the application is asked, and how a node leaves it. */
export interface Application {
  readonly probe: ClusterProbe;
  readonly drain?: Drain;
}

/** @throws RollError SETTINGS_INCOHERENT when the settings contradict one another, or name a file that cannot be read. */
export function applicationOf(
  { application, checks, drain, drainTimeoutMs }: Settings,
  surroundings: { readonly nodes: readonly ManifestNode[]; readonly clock: Clock; readonly channel: NodeChannel },
): Application {
  const { channel } = surroundings;
  if (application !== undefined) {
    if (Object.keys({ ...checks, ...drain }).length > 0) {
      throw new RollError(
        "SETTINGS_INCOHERENT",
        `application (${application.kind}) brings its own checks and drain: give either it, or checks and a drain`,
      );
    }
    try {
      return clusterAdapter(surroundings, application);
    } catch (error) {
      throw new RollError("SETTINGS_INCOHERENT", `application (${application.kind}): ${(error as Error).message}`);
    }
  }
  const limitMs = checks.timeoutMs ?? CHECK_TIMEOUT_MS;
  const nodeChecks = [
    ...(checks.http === undefined ? [] : [httpCheck(checks.http, limitMs)]),
    ...(checks.tcp === undefined ? [] : [tcpCheck(checks.tcp, limitMs)]),
    ...(checks.command === undefined ? [] : [commandCheck(checks.command, [], limitMs)]),
    ...(checks.onNode === undefined
      ? []
      : [onNodeCheck(channel, checks.onNode, checks.timeoutMs ?? ON_NODE_TIMEOUT_MS)]),
  ];
  const probe = nodeChecks.length === 0 ? noProbe : majorityProbe(nodeChecks);
  if (drain.command !== undefined) return { probe, drain: drainCommand(drain.command, [], drainTimeoutMs) };
  if (drain.onNode === undefined) return { probe };
  return { probe, drain: drainOnNode(channel, drain.onNode, drain.undoOnNode, drainTimeoutMs) };
}
