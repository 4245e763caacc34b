import { hostname, userInfo } from "node:os";
import { Command } from "commander";
import { command as tell } from "../control";
import { readJournal } from "../journal";
import { lockOwner } from "../lock";
import { type Manifest, manifestFrom } from "../manifest";
import { plan } from "../plan";
import { rollerPolicy } from "../policy";
import { roll, rollback, touchedNodes } from "../roll";
import { RollError } from "../roll-error";
import type { Outcome, RollOptions, RollPorts, StopRequest } from "../roll-ports";
import type { Settings, SettingsInput } from "../settings";
import { CommandLine, type Flags, withCluster } from "./command-line";
import { EXIT, exitCodeOf } from "./exit-codes";
import { fleetCommand } from "./fleet-command";
import { onInterrupt } from "./interrupt";
import { errorData, errorText, outcomeText, planText, rollbackText, statusText } from "./report";
import { settingsOf, withSettings } from "./roll-settings";
import type { Surroundings } from "./surroundings";

const HELP = `
Examples:
  $ holdfast roll plan --cluster orders.json
  $ holdfast roll run --cluster orders.json --yes --check-tcp 2379 --canary-bake 10m
  $ holdfast roll run --cluster orders.json --yes --json > roll.ndjson
  $ holdfast roll recover 02 --cluster orders.json --yes

Exit codes: 0 done, 1 a node failed, 2 changes pending (plan, or run without --yes), 3 paused, 4 gate stayed closed,
5 another roller owns the cluster, 6 refused before anything changed, 7 AWS refused, 8 rolled back, 64 usage`;

type Run = (ports: RollPorts, manifest: Manifest, settings: Settings, options: RollOptions) => Promise<Outcome>;

/** `holdfast roll …`; the exit code is handed to `exit`. */
export function rollCommand(surroundings: Surroundings, exit: (code: number) => void): Command {
  const line = new CommandLine(surroundings, exit);
  const group = new Command("roll")
    .description("replace the nodes of a cluster, one at a time, without losing the cluster")
    .addHelpText("after", HELP);
  const add = (name: string, description: string, examples: string[], act: Parameters<CommandLine["add"]>[4]) =>
    withCluster(line.add(group, name, description, examples, act));

  const showPlan = async (flags: Flags, more: SettingsInput = {}): Promise<number> => {
    const reached = line.reach(flags);
    const settings = settingsOf(flags, more);
    const shown = await plan(line.ports(reached, settings, flags), reached.manifest, settings);
    line.print(flags, shown, planText(shown));
    if (shown.refusals.length > 0) return EXIT.refused;
    return shown.nodes.some(({ order }) => order !== null) ? EXIT.changesPending : EXIT.done;
  };

  const showRollback = async (flags: Flags): Promise<number> => {
    const { manifest, store } = line.reach(flags);
    const nodes = touchedNodes((await readJournal(store)).replacements).map(({ node, from, to }) => ({
      node,
      from: to,
      to: from,
    }));
    line.print(flags, { cluster: manifest.cluster, rollback: nodes }, rollbackText(manifest.cluster, nodes));
    return nodes.length > 0 ? EXIT.changesPending : EXIT.done;
  };

  const work = async (flags: Flags, run: Run, options: Partial<RollOptions>, more?: SettingsInput): Promise<number> => {
    const reached = line.reach(flags);
    const settings = settingsOf(flags, more);
    const stop: StopRequest = { level: "go on" };
    const release = onInterrupt(stop, surroundings.stderr);
    try {
      const ports = line.ports(reached, settings, flags);
      const outcome = await run(ports, reached.manifest, settings, { owner: owner(), stop, ...options });
      const { error, ...rest } = outcome;
      const data = { outcome: { ...rest, ...(error ? { error: errorData(error) } : {}) } };
      const isText = !flags.json && surroundings.stdout.isTTY;
      surroundings.stdout.write(`${isText ? outcomeText(outcome) : JSON.stringify(data)}\n`);
      if (error && !isText && !flags.json) surroundings.stderr.write(`${errorText(error)}\n`);
      return exitCodeOf(outcome);
    } finally {
      release();
    }
  };

  /** What the roll in the journal was begun with. */
  const recorded = async (flags: Flags): Promise<SettingsInput | undefined> =>
    (await readJournal(line.reach(flags).store)).roll?.settings;

  withSettings(
    add(
      "plan",
      "show which nodes would be replaced, why and in which order; changes nothing",
      ["roll plan --cluster orders.json", "roll plan --cluster orders.json --json | jq '.nodes[] | select(.order)'"],
      (flags) => showPlan(flags),
    ),
  );

  withSettings(
    add(
      "run",
      "replace every stale node; without --yes it only plans",
      [
        "roll run --cluster orders.json --yes",
        "roll run --cluster orders.json --yes --check-http 'http://{ip}:2379/health' --alarms orders-errors --bake 5m",
      ],
      (flags) => (flags.yes ? work(flags, roll, {}) : showPlan(flags)),
    ).option("--yes", "do it"),
  );

  withSettings(
    add(
      "resume",
      "go on with the roll the journal holds, with the options it was begun with; those given here win",
      ["roll resume --cluster orders.json", "roll resume --cluster orders.json --confirm"],
      async (flags) => work(flags, roll, { resume: true, confirmed: flags.confirm === true }, await recorded(flags)),
    ).option("--confirm", "accept the first node of a roll with --confirm-after-first"),
  );

  withSettings(
    add(
      "rollback",
      "return the nodes the last roll touched to their former launch template version",
      ["roll rollback --cluster orders.json", "roll rollback --cluster orders.json --yes"],
      async (flags) => (flags.yes ? work(flags, rollback, {}, backwards(await recorded(flags))) : showRollback(flags)),
    ).option("--yes", "do it"),
  );

  withSettings(
    add(
      "recover",
      "replace one node that does not come up by itself, whatever it hangs in",
      ["roll recover 02 --cluster orders.json --yes"],
      (flags, [node = ""]) => {
        const manifest = manifestFrom(flags.cluster);
        if (!manifest.nodes.some(({ id }) => id === node)) {
          const known = manifest.nodes.map(({ id }) => id).join(", ");
          throw new RollError("MANIFEST_INVALID", `cluster ${manifest.cluster} has no node ${node}; it has ${known}`);
        }
        const more = { force: [node] };
        return flags.yes ? work(flags, roll, { only: [node] }, more) : showPlan(flags, more);
      },
    )
      .argument("<node>", "node id")
      .option("--yes", "do it"),
  );

  add(
    "status",
    "show the journal of the last roll and who owns the cluster",
    ["roll status --cluster orders.json", "roll status --cluster orders.json --json"],
    async (flags) => {
      const { store } = line.reach(flags);
      const journal = await readJournal(store);
      const rolling = await lockOwner(store);
      const data = { owner: rolling ?? null, roll: journal.roll ?? null, nodes: [...journal.replacements.values()] };
      line.print(flags, data, statusText(journal, rolling, surroundings.clock.now()));
      return EXIT.done;
    },
  );

  const request = (what: "pause" | "abort") => async (flags: Flags) => {
    const { store, manifest } = line.reach(flags);
    const rolling = await lockOwner(store);
    if (rolling === undefined) {
      throw new RollError("NOTHING_TO_RESUME", `nobody is rolling ${manifest.cluster}`, {
        next: "`holdfast roll status`",
      });
    }
    await tell(store, what);
    line.print(flags, { requested: what, of: rolling }, `asked ${rolling} to ${what} after the current node`);
    return EXIT.done;
  };
  add(
    "pause",
    "let the running roll stop after its current node; `resume` goes on",
    ["roll pause --cluster orders.json"],
    request("pause"),
  );
  add(
    "abort",
    "let the running roll end after its current node",
    ["roll abort --cluster orders.json"],
    request("abort"),
  );

  add(
    "policy",
    "print the IAM policy a role needs to roll this cluster, and no more",
    ["roll policy --cluster orders.json", "roll policy --cluster orders.json --changes-groups --reaches-nodes"],
    async (flags) => {
      const policy = rollerPolicy(manifestFrom(flags.cluster), {
        changesGroups: flags.changesGroups === true,
        reachesNodes: flags.reachesNodes === true,
      });
      surroundings.stdout.write(`${JSON.stringify(policy, null, 2)}\n`);
      return EXIT.done;
    },
  )
    .option("--changes-groups", "include what rollback and --strategy scale-zero need")
    .option("--reaches-nodes", "include what --check-on-node and --drain-on-node need");

  group.addCommand(fleetCommand(surroundings, exit));
  return group;
}

/** A rollback keeps how a roll goes, not whom it was forced on, and does not wait for a confirmation again. */
function backwards(settings: SettingsInput | undefined): SettingsInput {
  return { ...settings, force: [], confirmAfterFirst: false, onFailure: "stop" };
}

function owner(): string {
  return `${userInfo().username}@${hostname()} (process ${process.pid})`;
}
