import { onFailureSchema, type Settings, strategySchema } from "../settings";
import { parseDuration } from "./duration";

/** An option that says how a roll goes, of the command line and of a roll that is started on a node. */
export interface RollOption {
  /** `--name`, or `--name <value>`; `<value...>` takes several. */
  readonly flags: string;
  readonly description: string;
  /** Where its value goes: the name of a setting, or of one in a group of settings. */
  readonly setting: readonly [keyof Settings, string?];
  readonly choices?: readonly string[];
  /** @throws Error saying what is expected. @default the text as it is given */
  readonly read?: (text: string) => unknown;
  /** It may be repeated. */
  readonly repeats?: true;
}

/** What is not given is the default, or on `resume` what the roll began with. */
export const ROLL_OPTIONS: readonly RollOption[] = [
  {
    flags: "--strategy <name>",
    description: "how an instance is replaced (default: suspend-launch)",
    setting: ["strategy"],
    choices: strategySchema.options,
  },
  {
    flags: "--successes <n>",
    description: "healthy checks in a row before and after each node (default: 3)",
    setting: ["successes"],
    read: count,
  },
  {
    flags: "--poll <time>",
    description: "time between two looks (default: 5s)",
    setting: ["pollMs"],
    read: parseDuration,
  },
  {
    flags: "--parallel-within-zone <n>",
    description: "nodes of one zone replaced together, if the cluster accepts (default: 1)",
    setting: ["parallelWithinZone"],
    read: count,
  },
  {
    flags: "--gate-timeout <time>",
    description: "how long a closed gate is waited for (default: 30m)",
    setting: ["gateTimeoutMs"],
    read: parseDuration,
  },
  {
    flags: "--drain-timeout <time>",
    description: "limit of the drain (default: 10m)",
    setting: ["drainTimeoutMs"],
    read: parseDuration,
  },
  {
    flags: "--terminate-timeout <time>",
    description: "limit for the old instance to go (default: 30m)",
    setting: ["terminateTimeoutMs"],
    read: parseDuration,
  },
  {
    flags: "--launch-timeout <time>",
    description: "limit for the new instance to be in service (default: 60m)",
    setting: ["launchTimeoutMs"],
    read: parseDuration,
  },
  {
    flags: "--health-timeout <time>",
    description: "limit for the cluster to be healthy again (default: 15m)",
    setting: ["healthTimeoutMs"],
    read: parseDuration,
  },
  {
    flags: "--total-timeout <time>",
    description: "no node is begun after this (default: 24h)",
    setting: ["totalTimeoutMs"],
    read: parseDuration,
  },
  {
    flags: "--bake <time>",
    description: "how long each replaced node is watched (default: 0s)",
    setting: ["bakeMs"],
    read: parseDuration,
  },
  {
    flags: "--canary-bake <time>",
    description: "how long the first replaced node is watched (default: 0s)",
    setting: ["canaryBakeMs"],
    read: parseDuration,
  },
  {
    flags: "--confirm-after-first",
    description: "pause after the first node until `resume --confirm`",
    setting: ["confirmAfterFirst"],
  },
  { flags: "--alarms <name...>", description: "CloudWatch alarms that stop the roll", setting: ["alarms"] },
  {
    flags: "--on-failure <what>",
    description: "when a node fails (default: stop)",
    setting: ["onFailure"],
    choices: onFailureSchema.options,
  },
  { flags: "--irreversible", description: "the release must not be rolled back", setting: ["irreversible"] },
  {
    flags: "--force <node>",
    description: "replace this node though it is on its target; may be repeated",
    setting: ["force"],
    repeats: true,
  },
  { flags: "--force-drain", description: "go on when the drain fails", setting: ["forceDrain"] },
  {
    flags: "--check-http <url>",
    description: "each node is well when this answers 2xx, e.g. http://{ip}:2379/health",
    setting: ["checks", "http"],
  },
  {
    flags: "--check-tcp <port>",
    description: "each node is well when this port accepts",
    setting: ["checks", "tcp"],
    read: count,
  },
  {
    flags: "--check-command <program>",
    description: "each node is well when this ends with 0; NODE_ID, NODE_IP in its environment",
    setting: ["checks", "command"],
  },
  {
    flags: "--check-on-node <shell>",
    description: "each node is well when this, run on it through Systems Manager, ends with 0",
    setting: ["checks", "onNode"],
  },
  {
    flags: "--application <json>",
    description:
      'what runs on the nodes, asked itself and handing over by itself, e.g. {"kind":"etcd"}; instead of checks and a drain',
    setting: ["application"],
    read: json,
  },
  {
    flags: "--check-timeout <time>",
    description: "limit of one check (default: 5s, on a node 30s)",
    setting: ["checks", "timeoutMs"],
    read: parseDuration,
  },
  {
    flags: "--drain-command <program>",
    description: "run before a node goes; DRAIN_ACTION, NODE_ID, INSTANCE_ID in its environment",
    setting: ["drain", "command"],
  },
  {
    flags: "--drain-on-node <shell>",
    description: "run on a node before it goes, through Systems Manager",
    setting: ["drain", "onNode"],
  },
  {
    flags: "--undrain-on-node <shell>",
    description: "run on a drained node that stays after all",
    setting: ["drain", "undoOnNode"],
  },
];

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`give JSON: ${(error as Error).message}`);
  }
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error("give a whole number from 1");
  return Number(text);
}
