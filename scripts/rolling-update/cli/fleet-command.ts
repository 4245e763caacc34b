import { Command, InvalidArgumentError } from "commander";
import type { FleetEvent } from "../fleet/fleet-events";
import { type FleetOutcome, follow } from "../fleet/follow";
import { type InstanceRefresh, isUnderWay, type RefreshPreferences } from "../fleet/instance-refresh";
import { RollError } from "../roll-error";
import type { StopRequest } from "../roll-ports";
import { type Act, CommandLine, type Flags } from "./command-line";
import { formatDuration, parseDuration } from "./duration";
import { EXIT } from "./exit-codes";
import { type InterruptWords, onInterrupt } from "./interrupt";
import { errorData, errorText } from "./report";
import { refusing } from "./roll-settings";
import type { Surroundings } from "./surroundings";

const HELP = `
Examples:
  $ terraform apply && holdfast roll fleet follow --group orders-workers --region eu-west-1
  $ holdfast roll fleet start --group orders-workers --region eu-west-1 --yes --checkpoints 10 50 100 --alarms orders-errors
  $ holdfast roll fleet start --group orders-workers --region eu-west-1 --yes --template-version 7 --alarms orders-errors --auto-rollback
  $ holdfast roll fleet rollback --group orders-workers --region eu-west-1 --yes

Exit codes: 0 done, 1 the refresh failed, 2 changes pending (without --yes), 3 cancelled, or no longer watched,
4 not over in time, 6 nothing to follow, 7 AWS refused, 8 rolled back, 64 usage`;

const CODE_OF: Readonly<Record<FleetOutcome["status"], number>> = {
  done: EXIT.done,
  failed: EXIT.nodeFailed,
  cancelled: EXIT.paused,
  unwatched: EXIT.paused,
  "rolled back": EXIT.rolledBack,
};

/** What is printed with `--json`. */
const EVENTS = "one event a line, the outcome last";
const ENDING = `${EVENTS}; without --yes the refresh under way`;

/** A refresh is AWS's: whoever stops watching it stops nothing else. */
const UNWATCHED: InterruptWords = {
  first: "the watch ends with the next look; the refresh goes on, and `holdfast roll fleet follow` watches it again",
  second:
    "the watch ends with the next look, within seconds; `holdfast roll fleet cancel --yes` is what ends a refresh",
};

/** `holdfast roll fleet …`: a worker pool's instance refresh, started, watched to its end, taken back. */
export function fleetCommand(surroundings: Surroundings, exit: (code: number) => void): Command {
  const line = new CommandLine(surroundings, exit);
  const { clock, stdout, stderr } = surroundings;
  const group = new Command("fleet")
    .description("follow the instance refresh of a worker pool, which Terraform starts and does not wait for")
    .addHelpText("after", HELP);
  const add = (name: string, description: string, shown: string[], json: string, act: Act) =>
    line
      .add(group, name, description, shown, json, act)
      .requiredOption("--group <name>", "the pool's Auto Scaling group")
      .requiredOption("--region <region>", "its region")
      .option("--role-arn <arn>", "assume this role with the default credentials first");
  const refreshesOf = ({ region, roleArn }: Flags) => surroundings.refreshes(String(region), roleArn);

  const watch = async (flags: Flags, id?: string): Promise<number> => {
    const stop: StopRequest = { level: "go on" };
    const isLive = !flags.json && stdout.isTTY;
    const release = onInterrupt(stop, stderr, UNWATCHED);
    try {
      const report = (event: FleetEvent) => stdout.write(`${isLive ? eventText(event) : JSON.stringify(event)}\n`);
      const { status, refresh, error } = await follow(
        { refreshes: refreshesOf(flags), clock, report },
        String(flags.group),
        {
          ...(id === undefined ? {} : { id }),
          appearMs: Number(flags.within ?? 60_000),
          timeoutMs: Number(flags.timeout ?? 4 * 3_600_000),
          stop,
        },
      );
      const data = { outcome: { status, refresh, ...(error ? { error: errorData(error) } : {}) } };
      stdout.write(`${isLive ? status : JSON.stringify(data)}\n`);
      if (error && !flags.json) stderr.write(`${errorText(error)}\n`);
      return CODE_OF[status];
    } finally {
      release();
    }
  };
  const withLimit = (command: Command) =>
    command.option("--timeout <time>", "limit until it is over (default: 4h)", refusing(parseDuration));

  withLimit(
    add(
      "follow",
      "watch the refresh that is under way, or begins soon, to its end",
      ["roll fleet follow --group orders-workers --region eu-west-1"],
      EVENTS,
      (flags) => watch(flags),
    ),
  ).option("--within <time>", "how long a refresh may take to show (default: 60s)", refusing(parseDuration));

  withLimit(
    add(
      "start",
      "start a refresh, and watch it to its end; without --yes it says what it would do",
      [
        "roll fleet start --group orders-workers --region eu-west-1 --yes --checkpoints 10 50 100 --alarms orders-errors",
      ],
      `${EVENTS}; without --yes what it would start with`,
      async (flags) => {
        const preferences = preferencesOf(flags);
        if (!flags.yes) {
          line.print(flags, { group: flags.group, preferences }, startText(String(flags.group), preferences));
          return EXIT.changesPending;
        }
        return watch(flags, await refreshesOf(flags).start(String(flags.group), preferences));
      },
    ),
  )
    .option("--yes", "do it")
    .option(
      "--template-version <n>",
      "version of the group's launch template to go to, which leaves a way back (default: what the group launches already)",
      version,
    )
    .option(
      "--min-healthy <percent>",
      "share of the pool that stays healthy (default: the group's maintenance policy, else 90)",
      percent,
    )
    .option(
      "--max-healthy <percent>",
      "share up to which replacements come early (default: the group's maintenance policy, else 100)",
      percent,
    )
    .option(
      "--warmup <time>",
      "from a replacement's entry into service to the next (default: the group's own)",
      refusing(parseDuration),
    )
    .option("--bake <time>", "watched this long after the last replacement (default: 0s)", refusing(parseDuration))
    .option("--checkpoints <percent...>", "shares at which it pauses, ascending", percents)
    .option("--checkpoint-delay <time>", "length of a pause (default: 1h)", refusing(parseDuration))
    .option("--alarms <name...>", "CloudWatch alarms that fail it")
    .option("--auto-rollback", "go back when it fails; needs --template-version");

  add(
    "status",
    "show the newest refresh",
    ["roll fleet status --group orders-workers --region eu-west-1 --json"],
    "the newest refresh, or null",
    async (flags) => {
      const [newest] = await refreshesOf(flags).describe(String(flags.group));
      line.print(flags, newest ?? null, newest === undefined ? "the pool never had a refresh" : refreshText(newest));
      return EXIT.done;
    },
  );

  const end = (what: "cancel" | "rollback") => async (flags: Flags) => {
    const refreshes = refreshesOf(flags);
    const name = String(flags.group);
    const current = (await refreshes.describe(name)).find(isUnderWay);
    if (current === undefined) {
      throw new RollError("NO_REFRESH", `no instance refresh of ${name} is under way`, {
        next: `\`holdfast roll fleet status --group ${name}\` shows the last`,
      });
    }
    if (!flags.yes) {
      line.print(
        flags,
        current,
        `${refreshText(current)}\nnothing was changed; \`holdfast roll fleet ${what} --yes\` does it`,
      );
      return EXIT.changesPending;
    }
    await refreshes[what](name);
    return watch(flags, current.id);
  };
  withLimit(
    add(
      "cancel",
      "end the refresh under way: what is replaced stays replaced",
      ["roll fleet cancel --group orders-workers --region eu-west-1 --yes"],
      ENDING,
      end("cancel"),
    ).option("--yes", "do it"),
  );
  withLimit(
    add(
      "rollback",
      "take the refresh under way back to what the group launched before",
      ["roll fleet rollback --group orders-workers --region eu-west-1 --yes"],
      ENDING,
      end("rollback"),
    ).option("--yes", "do it"),
  );
  return group;
}

function preferencesOf(flags: Flags): RefreshPreferences {
  const seconds = (ms: unknown) => Math.round(Number(ms) / 1_000);
  const checkpoints = flags.checkpoints as number[] | undefined;
  if (checkpoints?.some((value, index) => value <= (checkpoints[index - 1] ?? 0))) {
    throw new RollError("SETTINGS_INCOHERENT", `--checkpoints (${checkpoints.join(" ")}) should ascend`);
  }
  if (flags.autoRollback && flags.templateVersion === undefined) {
    throw new RollError(
      "SETTINGS_INCOHERENT",
      "--auto-rollback without --template-version has nothing to go back to: the group launches the new version already",
      { next: "leave the group on its old version, and name the new one with --template-version" },
    );
  }
  if (flags.autoRollback && flags.alarms === undefined) {
    throw new RollError("SETTINGS_INCOHERENT", "--auto-rollback without --alarms goes back only when launches fail", {
      next: "name the alarms that show a bad release",
    });
  }
  return {
    ...(flags.templateVersion === undefined ? {} : { templateVersion: Number(flags.templateVersion) }),
    ...(flags.minHealthy === undefined ? {} : { minHealthyPercent: Number(flags.minHealthy) }),
    ...(flags.maxHealthy === undefined ? {} : { maxHealthyPercent: Number(flags.maxHealthy) }),
    ...(flags.warmup === undefined ? {} : { warmupSeconds: seconds(flags.warmup) }),
    ...(flags.bake === undefined ? {} : { bakeSeconds: seconds(flags.bake) }),
    ...(checkpoints === undefined ? {} : { checkpoints }),
    ...(flags.checkpointDelay === undefined ? {} : { checkpointDelaySeconds: seconds(flags.checkpointDelay) }),
    ...(flags.alarms === undefined ? {} : { alarms: flags.alarms as string[] }),
    ...(flags.autoRollback ? { autoRollback: true } : {}),
  };
}

function startText(group: string, preferences: RefreshPreferences): string {
  const given = Object.entries(preferences).map(([name, value]) => `  ${name}: ${String(value)}`);
  const { templateVersion } = preferences;
  const target = templateVersion === undefined ? "what the group launches" : `template version ${templateVersion}`;
  const head = `${group}: every worker that is not on ${target} would be replaced`;
  return [head, ...given, "nothing was changed; `holdfast roll fleet start --yes` does it"].join("\n");
}

function refreshText({ id, status, percent, remaining, reason, checkpoints, alarms }: InstanceRefresh): string {
  return [
    `refresh ${id}: ${status} at ${percent} %, ${remaining} instances to replace`,
    ...(reason === undefined ? [] : [`  why: ${reason}`]),
    ...(checkpoints.length === 0 ? [] : [`  pauses at ${checkpoints.join(", ")} %`]),
    ...(alarms.length === 0 ? [] : [`  failed by alarms ${alarms.join(", ")}`]),
  ].join("\n");
}

function eventText({ status, percent, remaining, elapsedMs, reason }: FleetEvent): string {
  const text = `${formatDuration(elapsedMs).padEnd(14)} ${status.padEnd(18)} ${String(percent).padStart(3)} %  ${remaining} to go`;
  return reason === undefined ? text : `${text}  ${reason}`;
}

function percent(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) > 200) throw new InvalidArgumentError("give a whole number of percent");
  return Number(text);
}

function version(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("give the number of a version");
  return Number(text);
}

function percents(text: string, before: number[] = []): number[] {
  return [...before, percent(text)];
}
