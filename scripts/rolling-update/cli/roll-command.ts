import { Command } from "commander";
import { manifestFrom } from "../manifest";
import { rollerPolicy } from "../policy";
import { type Act, CommandLine, withCluster } from "./command-line";
import { EXIT } from "./exit-codes";
import { fleetCommand } from "./fleet-command";
import { rollActs } from "./roll-acts";
import { withSettings } from "./roll-settings";
import type { Surroundings } from "./surroundings";

const HELP = `
Examples:
  $ holdfast roll plan --cluster orders.json
  $ holdfast roll run --cluster orders.json --yes --check-tcp 2379 --canary-bake 10m
  $ holdfast roll run --cluster orders.json --yes --json > roll.ndjson
  $ holdfast roll recover 02 --cluster orders.json --yes

Exit codes: 0 done, 1 a node failed, 2 changes pending (plan, or run without --yes), 3 paused, 4 gate stayed closed,
5 another roller owns the cluster, 6 refused before anything changed, 7 AWS refused, 8 rolled back, 9 handed over to another
node, 64 usage`;

/** What is printed with `--json`. */
const EVENTS = "one event a line, the outcome last";
const ASKED = "what was asked, and of whom";

/** `holdfast roll …`; the exit code is handed to `exit`. */
export function rollCommand(surroundings: Surroundings, exit: (code: number) => void): Command {
  const line = new CommandLine(surroundings, exit);
  const group = new Command("roll")
    .description("replace the nodes of a cluster, one at a time, without losing the cluster")
    .addHelpText("after", HELP);
  const add = (name: string, description: string, shown: string[], json: string, act: Act) =>
    withCluster(line.add(group, name, description, shown, json, act));

  const acts = rollActs(line);

  withSettings(
    add(
      "plan",
      "show which nodes would be replaced, why and in which order; changes nothing",
      ["roll plan --cluster orders.json", "roll plan --cluster orders.json --json | jq '.nodes[] | select(.order)'"],
      "the plan",
      acts.plan,
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
      `${EVENTS}; without --yes the plan`,
      acts.run,
    ).option("--yes", "do it"),
  );

  withSettings(
    add(
      "resume",
      "go on with the roll the journal holds, with the options it was begun with; those given here win",
      ["roll resume --cluster orders.json", "roll resume --cluster orders.json --confirm"],
      EVENTS,
      acts.resume,
    ).option("--confirm", "accept the first node of a roll with --confirm-after-first"),
  );

  withSettings(
    add(
      "rollback",
      "return the nodes the last roll touched to their former launch template version",
      ["roll rollback --cluster orders.json", "roll rollback --cluster orders.json --yes"],
      `${EVENTS}; without --yes the nodes and their versions`,
      acts.rollback,
    ).option("--yes", "do it"),
  );

  withSettings(
    add(
      "recover",
      "replace one node that does not come up by itself, whatever it hangs in",
      ["roll recover 02 --cluster orders.json --yes"],
      `${EVENTS}; without --yes the plan`,
      (flags, [node = ""]) => acts.recover(flags, node),
    )
      .argument("<node>", "node id")
      .option("--yes", "do it"),
  );

  add(
    "status",
    "show the journal of the last roll and who owns the cluster",
    ["roll status --cluster orders.json", "roll status --cluster orders.json --json"],
    "who rolls, the last roll, and its nodes",
    acts.status,
  );

  add(
    "pause",
    "let the running roll stop after its current node; `resume` goes on",
    ["roll pause --cluster orders.json"],
    ASKED,
    acts.pause,
  );
  add(
    "abort",
    "let the running roll end after its current node",
    ["roll abort --cluster orders.json"],
    ASKED,
    acts.abort,
  );

  add(
    "policy",
    "print the IAM policy a role needs to roll this cluster, and no more",
    ["roll policy --cluster orders.json", "roll policy --cluster orders.json --changes-groups --reaches-nodes"],
    "also of an error; the policy is JSON without it",
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
