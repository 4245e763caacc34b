import { hostname, userInfo } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { parameterStore } from "../aws/parameter-store";
import { sdkCloud } from "../aws/sdk-cloud";
import { systemClock } from "../clock";
import { command as tell } from "../control";
import { drainCommand } from "../drain-command";
import { readJournal } from "../journal";
import { lockOwner } from "../lock";
import { type Manifest, readManifest } from "../manifest";
import { plan } from "../plan";
import { rollerPolicy } from "../policy";
import { type ClusterProbe, noProbe } from "../probe";
import { commandCheck, httpCheck, majorityProbe, tcpCheck } from "../probes/node-checks";
import { roll, rollback, touchedNodes } from "../roll";
import { asRollError, RollError } from "../roll-error";
import type { Outcome, RollOptions, RollPorts, StopRequest } from "../roll-ports";
import { parseSettings, type Settings } from "../settings";
import type { Store } from "../store";
import { parseDuration } from "./duration";
import { EXIT, exitCodeOf, exitCodeOfError } from "./exit-codes";
import { progress } from "./progress";
import { errorData, errorText, outcomeText, planText, rollbackText, statusText } from "./report";

/** Where the commands reach AWS; tests put the simulator there. */
export interface Surroundings {
  readonly connect: (manifest: Manifest, roleArn: string | undefined) => Pick<RollPorts, "cloud" | "store">;
  readonly clock: RollPorts["clock"];
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly probe?: ClusterProbe;
}

export const awsSurroundings: Surroundings = {
  connect: (manifest, roleArn) => {
    const options = { region: manifest.region, ...(roleArn === undefined ? {} : { roleArn }) };
    return { cloud: sdkCloud(options), store: parameterStore(manifest.cluster, options) };
  },
  clock: systemClock,
  stdout: process.stdout,
  stderr: process.stderr,
};

interface Flags {
  readonly cluster: string;
  readonly roleArn?: string;
  readonly json?: true;
  readonly yes?: true;
  readonly confirm?: true;
  readonly checkHttp?: string;
  readonly checkTcp?: number;
  readonly checkCommand?: string;
  readonly checkTimeout: number;
  readonly drainCommand?: string;
  readonly changesGroups?: true;
  readonly [setting: string]: unknown;
}

const EXAMPLES = `
Examples:
  $ holdfast roll plan --cluster orders.json
  $ holdfast roll run --cluster orders.json --yes --check-tcp 2379 --canary-bake 10m
  $ holdfast roll run --cluster orders.json --yes --json > roll.ndjson
  $ holdfast roll recover 02 --cluster orders.json --yes

Exit codes: 0 done, 1 a node failed, 2 changes pending (plan, or run without --yes), 3 paused, 4 gate stayed closed,
5 another roller owns the cluster, 6 refused before anything changed, 7 AWS refused, 8 rolled back, 64 usage`;

/** `holdfast roll …`; the exit code is handed to `exit`. */
export function rollCommand(surroundings: Surroundings, exit: (code: number) => void): Command {
  const group = new Command("roll")
    .description("replace the nodes of a cluster, one at a time, without losing the cluster")
    .addHelpText("after", EXAMPLES);

  const add = (name: string, description: string, act: (flags: Flags, args: string[]) => Promise<number>): Command =>
    withTarget(group.command(name).description(description)).action(async (...given: unknown[]) => {
      const self = given.at(-1) as Command;
      const flags = self.opts<Flags>();
      try {
        exit(await act(flags, self.args));
      } catch (error) {
        const known = asRollError(error);
        if (flags.json) surroundings.stdout.write(`${JSON.stringify({ error: errorData(known) })}\n`);
        else surroundings.stderr.write(`${errorText(known)}\n`);
        exit(exitCodeOfError(known));
      }
    });

  const print = (flags: Flags, data: unknown, text: string) =>
    surroundings.stdout.write(`${flags.json ? JSON.stringify(data) : text}\n`);

  const showPlan = async (flags: Flags): Promise<number> => {
    const { manifest, ports } = reach(surroundings, flags);
    const shown = await plan(ports, manifest, settingsOf(flags));
    print(flags, shown, planText(shown));
    if (shown.refusals.length > 0) return EXIT.refused;
    return shown.nodes.some(({ order }) => order !== null) ? EXIT.changesPending : EXIT.done;
  };

  const showRollback = async (flags: Flags): Promise<number> => {
    const { manifest, ports } = reach(surroundings, flags);
    const nodes = touchedNodes((await readJournal(ports.store)).replacements).map(({ node, from, to }) => ({
      node,
      from: to,
      to: from,
    }));
    print(flags, { cluster: manifest.cluster, rollback: nodes }, rollbackText(manifest.cluster, nodes));
    return nodes.length > 0 ? EXIT.changesPending : EXIT.done;
  };

  const work = async (
    flags: Flags,
    options: Partial<RollOptions>,
    run: (ports: RollPorts, manifest: Manifest, settings: Settings, options: RollOptions) => Promise<Outcome> = roll,
    more: Partial<Settings> = {},
  ): Promise<number> => {
    const { manifest, ports } = reach(surroundings, flags);
    const stop: StopRequest = { level: "go on" };
    const release = onInterrupt(stop, surroundings.stderr);
    try {
      const outcome = await run(
        ports,
        manifest,
        { ...settingsOf(flags), ...more },
        { owner: owner(), stop, ...options },
      );
      const { error, ...rest } = outcome;
      const data = { outcome: { ...rest, ...(error ? { error: errorData(error) } : {}) } };
      const isText = !flags.json && surroundings.stdout.isTTY;
      surroundings.stdout.write(`${isText ? outcomeText(outcome) : JSON.stringify(data)}\n`);
      return exitCodeOf(outcome);
    } finally {
      release();
    }
  };

  withSettings(add("plan", "show which nodes would be replaced, why and in which order; changes nothing", showPlan));

  withSettings(
    add("run", "replace every stale node; without --yes it only plans", (flags) =>
      flags.yes ? work(flags, {}) : showPlan(flags),
    ).option("--yes", "do it"),
  );

  withSettings(
    add("resume", "go on with the roll the journal holds", (flags) =>
      work(flags, { resume: true, confirmed: flags.confirm === true }),
    ).option("--confirm", "accept the first node of a roll with --confirm-after-first"),
  );

  withSettings(
    add("rollback", "return the nodes the last roll touched to their former launch template version", (flags) =>
      flags.yes ? work(flags, {}, rollback) : showRollback(flags),
    ).option("--yes", "do it"),
  );

  withSettings(
    add("recover", "replace one node that does not come up by itself, whatever it hangs in", (flags, [node = ""]) => {
      const { manifest } = reach(surroundings, flags);
      if (!manifest.nodes.some(({ id }) => id === node)) {
        const known = manifest.nodes.map(({ id }) => id).join(", ");
        throw new RollError("MANIFEST_INVALID", `cluster ${manifest.cluster} has no node ${node}; it has ${known}`);
      }
      return flags.yes ? work(flags, { only: [node] }, roll, { force: [node] }) : showPlan({ ...flags, force: [node] });
    })
      .argument("<node>", "node id")
      .option("--yes", "do it"),
  );

  add("status", "show the journal of the last roll and who owns the cluster", async (flags) => {
    const { ports } = reach(surroundings, flags);
    const journal = await readJournal(ports.store);
    const rolling = await lockOwner(ports.store);
    const data = { owner: rolling ?? null, roll: journal.roll ?? null, nodes: [...journal.replacements.values()] };
    print(flags, data, statusText(journal, rolling, ports.clock.now()));
    return EXIT.done;
  });

  const request = (what: "pause" | "abort") => async (flags: Flags) => {
    const { ports, manifest } = reach(surroundings, flags);
    const rolling = await lockOwner(ports.store);
    if (rolling === undefined) {
      throw new RollError("NOTHING_TO_RESUME", `nobody is rolling ${manifest.cluster}`, {
        next: "`holdfast roll status`",
      });
    }
    await tell(ports.store, what);
    print(flags, { requested: what, of: rolling }, `asked ${rolling} to ${what} after the current node`);
    return EXIT.done;
  };
  add("pause", "let the running roll stop after its current node; `resume` goes on", request("pause"));
  add("abort", "let the running roll end after its current node", request("abort"));

  add("policy", "print the IAM policy a role needs to roll this cluster, and no more", async (flags) => {
    const policy = rollerPolicy(readManifest(flags.cluster), { changesGroups: flags.changesGroups === true });
    surroundings.stdout.write(`${JSON.stringify(policy, null, 2)}\n`);
    return EXIT.done;
  }).option("--changes-groups", "include what rollback and --strategy scale-zero need");

  return group;
}

function withTarget(command: Command): Command {
  return command
    .requiredOption("--cluster <file>", "the cluster's manifest, JSON")
    .option("--role-arn <arn>", "assume this role with the default credentials first")
    .option("--json", "print JSON: one object, or one event a line while a roll runs");
}

function withSettings(command: Command): Command {
  const node = (value: string, before: string[] = []) => [...before, value];
  return command
    .addOption(
      new Option("--strategy <name>", "how an instance is replaced")
        .choices(["suspend-launch", "scale-zero", "group-replaces"])
        .default("suspend-launch"),
    )
    .option("--successes <n>", "healthy checks in a row before and after each node (default: 3)", count)
    .option("--poll <time>", "time between two looks (default: 5s)", parseDuration)
    .option(
      "--parallel-within-zone <n>",
      "nodes of one zone replaced together, if the cluster accepts (default: 1)",
      count,
    )
    .option("--gate-timeout <time>", "how long a closed gate is waited for (default: 30m)", parseDuration)
    .option("--drain-timeout <time>", "limit of the drain command (default: 10m)", parseDuration)
    .option("--terminate-timeout <time>", "limit for the old instance to go (default: 30m)", parseDuration)
    .option("--launch-timeout <time>", "limit for the new instance to be in service (default: 60m)", parseDuration)
    .option("--health-timeout <time>", "limit for the cluster to be healthy again (default: 15m)", parseDuration)
    .option("--bake <time>", "how long each replaced node is watched", parseDuration)
    .option("--canary-bake <time>", "how long the first replaced node is watched", parseDuration)
    .option("--confirm-after-first", "pause after the first node until `resume --confirm`")
    .option("--alarms <name...>", "CloudWatch alarms that stop the roll")
    .addOption(new Option("--on-failure <what>", "when a node fails").choices(["stop", "rollback"]).default("stop"))
    .option("--irreversible", "the release must not be rolled back")
    .option("--force <node>", "replace this node though it is on its target; may be repeated", node)
    .option("--force-drain", "go on when the drain fails")
    .option("--check-http <url>", "each node is well when this answers 2xx, e.g. http://{ip}:2379/health")
    .option("--check-tcp <port>", "each node is well when this port accepts", count)
    .option("--check-command <program>", "each node is well when this ends with 0; NODE_ID, NODE_IP in its environment")
    .addOption(new Option("--check-timeout <time>", "limit of one check").argParser(parseDuration).default(5_000, "5s"))
    .option(
      "--drain-command <program>",
      "run before a node goes; DRAIN_ACTION, NODE_ID, INSTANCE_ID in its environment",
    );
}

const SETTING_OF: Readonly<Record<string, keyof Settings>> = {
  strategy: "strategy",
  successes: "successes",
  poll: "pollMs",
  parallelWithinZone: "parallelWithinZone",
  gateTimeout: "gateTimeoutMs",
  drainTimeout: "drainTimeoutMs",
  terminateTimeout: "terminateTimeoutMs",
  launchTimeout: "launchTimeoutMs",
  healthTimeout: "healthTimeoutMs",
  bake: "bakeMs",
  canaryBake: "canaryBakeMs",
  confirmAfterFirst: "confirmAfterFirst",
  alarms: "alarms",
  onFailure: "onFailure",
  irreversible: "irreversible",
  force: "force",
  forceDrain: "forceDrain",
};

function settingsOf(flags: Flags): Settings {
  const given = Object.entries(SETTING_OF).flatMap(([flag, setting]) =>
    flag in flags ? [[setting, flags[flag]]] : [],
  );
  return parseSettings(Object.fromEntries(given));
}

function reach(surroundings: Surroundings, flags: Flags): { manifest: Manifest; ports: RollPorts } {
  const manifest = readManifest(flags.cluster);
  const { cloud, store }: { cloud: RollPorts["cloud"]; store: Store } = surroundings.connect(manifest, flags.roleArn);
  const ports: RollPorts = {
    cloud,
    store,
    clock: surroundings.clock,
    probe: surroundings.probe ?? probeOf(flags),
    ...(flags.drainCommand === undefined
      ? {}
      : { drain: drainCommand(flags.drainCommand, [], settingsOf(flags).drainTimeoutMs) }),
    report: progress(surroundings.stdout, manifest, flags.json === true),
  };
  return { manifest, ports };
}

function probeOf({ checkHttp, checkTcp, checkCommand, checkTimeout }: Flags): ClusterProbe {
  const checks = [
    ...(checkHttp === undefined ? [] : [httpCheck(checkHttp, checkTimeout)]),
    ...(checkTcp === undefined ? [] : [tcpCheck(checkTcp, checkTimeout)]),
    ...(checkCommand === undefined ? [] : [commandCheck(checkCommand, [], checkTimeout)]),
  ];
  return checks.length === 0 ? noProbe : majorityProbe(checks);
}

/** First Ctrl-C: stop after the current node. Second: stop now; the journal resumes. */
function onInterrupt(stop: StopRequest, stderr: NodeJS.WriteStream): () => void {
  const interrupt = () => {
    stop.level = stop.level === "go on" ? "after this node" : "now";
    stderr.write(
      stop.level === "now"
        ? "stopping now; `holdfast roll resume` goes on\n"
        : "stopping after the current node; interrupt again to stop now\n",
    );
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return () => {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  };
}

function owner(): string {
  return `${userInfo().username}@${hostname()} (process ${process.pid})`;
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("give a whole number from 1");
  return Number(text);
}
