import { type Command, InvalidArgumentError, Option } from "commander";
import { parseSettings, type Settings, type SettingsInput } from "../settings";
import { parseDuration } from "./duration";

/** Adds the options that say how a roll goes; what is not given is the default, or on `resume` what the roll began with. */
export function withSettings(command: Command): Command {
  const several = (value: string, before: string[] = []) => [...before, value];
  return command
    .addOption(
      new Option("--strategy <name>", "how an instance is replaced (default: suspend-launch)").choices([
        "suspend-launch",
        "scale-zero",
        "group-replaces",
      ]),
    )
    .option("--successes <n>", "healthy checks in a row before and after each node (default: 3)", count)
    .option("--poll <time>", "time between two looks (default: 5s)", parseDuration)
    .option(
      "--parallel-within-zone <n>",
      "nodes of one zone replaced together, if the cluster accepts (default: 1)",
      count,
    )
    .option("--gate-timeout <time>", "how long a closed gate is waited for (default: 30m)", parseDuration)
    .option("--drain-timeout <time>", "limit of the drain (default: 10m)", parseDuration)
    .option("--terminate-timeout <time>", "limit for the old instance to go (default: 30m)", parseDuration)
    .option("--launch-timeout <time>", "limit for the new instance to be in service (default: 60m)", parseDuration)
    .option("--health-timeout <time>", "limit for the cluster to be healthy again (default: 15m)", parseDuration)
    .option("--total-timeout <time>", "no node is begun after this (default: 24h)", parseDuration)
    .option("--bake <time>", "how long each replaced node is watched", parseDuration)
    .option("--canary-bake <time>", "how long the first replaced node is watched", parseDuration)
    .option("--confirm-after-first", "pause after the first node until `resume --confirm`")
    .option("--alarms <name...>", "CloudWatch alarms that stop the roll")
    .addOption(new Option("--on-failure <what>", "when a node fails (default: stop)").choices(["stop", "rollback"]))
    .option("--irreversible", "the release must not be rolled back")
    .option("--force <node>", "replace this node though it is on its target; may be repeated", several)
    .option("--force-drain", "go on when the drain fails")
    .option("--check-http <url>", "each node is well when this answers 2xx, e.g. http://{ip}:2379/health")
    .option("--check-tcp <port>", "each node is well when this port accepts", count)
    .option("--check-command <program>", "each node is well when this ends with 0; NODE_ID, NODE_IP in its environment")
    .option("--check-on-node <shell>", "each node is well when this, run on it through Systems Manager, ends with 0")
    .option(
      "--application <json>",
      'what runs on the nodes, asked itself and handing over by itself, e.g. {"kind":"etcd"}; instead of checks and a drain',
      json,
    )
    .option("--check-timeout <time>", "limit of one check (default: 5s, on a node 30s)", parseDuration)
    .option(
      "--drain-command <program>",
      "run before a node goes; DRAIN_ACTION, NODE_ID, INSTANCE_ID in its environment",
    )
    .option("--drain-on-node <shell>", "run on a node before it goes, through Systems Manager")
    .option("--undrain-on-node <shell>", "run on a drained node that stays after all");
}

/** Where an option's value goes: the name of a setting, or of one in a group of settings. */
const SETTING_OF: Readonly<Record<string, readonly [keyof Settings, string?]>> = {
  strategy: ["strategy"],
  successes: ["successes"],
  poll: ["pollMs"],
  parallelWithinZone: ["parallelWithinZone"],
  gateTimeout: ["gateTimeoutMs"],
  drainTimeout: ["drainTimeoutMs"],
  terminateTimeout: ["terminateTimeoutMs"],
  launchTimeout: ["launchTimeoutMs"],
  healthTimeout: ["healthTimeoutMs"],
  totalTimeout: ["totalTimeoutMs"],
  bake: ["bakeMs"],
  canaryBake: ["canaryBakeMs"],
  confirmAfterFirst: ["confirmAfterFirst"],
  alarms: ["alarms"],
  onFailure: ["onFailure"],
  irreversible: ["irreversible"],
  force: ["force"],
  forceDrain: ["forceDrain"],
  application: ["application"],
  checkHttp: ["checks", "http"],
  checkTcp: ["checks", "tcp"],
  checkCommand: ["checks", "command"],
  checkOnNode: ["checks", "onNode"],
  checkTimeout: ["checks", "timeoutMs"],
  drainCommand: ["drain", "command"],
  drainOnNode: ["drain", "onNode"],
  undrainOnNode: ["drain", "undoOnNode"],
};

/**
 * The settings given on the command line, over those recorded.
 * @throws RollError SETTINGS_INCOHERENT naming the setting.
 */
export function settingsOf(flags: Readonly<Record<string, unknown>>, recorded: SettingsInput = {}): Settings {
  const merged: Record<string, unknown> = { ...recorded };
  for (const [flag, [setting, part]] of Object.entries(SETTING_OF)) {
    if (!(flag in flags)) continue;
    merged[setting] = part === undefined ? flags[flag] : { ...(merged[setting] as object), [part]: flags[flag] };
  }
  return parseSettings(merged as SettingsInput);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`give JSON: ${(error as Error).message}`);
  }
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("give a whole number from 1");
  return Number(text);
}
