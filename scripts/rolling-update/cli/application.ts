import { drainCommand } from "../drain-command";
import { drainOnNode } from "../drain-on-node";
import type { NodeChannel } from "../node-channel";
import { type ClusterProbe, type Drain, noProbe } from "../probe";
import { commandCheck, httpCheck, majorityProbe, onNodeCheck, tcpCheck } from "../probes/node-checks";
import type { Settings } from "../settings";

const CHECK_TIMEOUT_MS = 5_000;
/** A command through Systems Manager takes seconds to be fetched. */
const ON_NODE_TIMEOUT_MS = 30_000;

/** How the settings say that the application is asked, and how a node leaves it. */
export interface Application {
  readonly probe: ClusterProbe;
  readonly drain?: Drain;
}

export function applicationOf({ checks, drain, drainTimeoutMs }: Settings, channel: NodeChannel): Application {
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
