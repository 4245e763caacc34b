import { type Command, Command as Commander, Option } from "commander";
import { examples } from "../command-line";
import { parseDuration } from "../rolling-update/cli/duration";
import { refusing } from "../rolling-update/cli/roll-settings";
import { controlCommands } from "./control/control-commands";
import { EXIT } from "./exit-codes";
import { removeAbandonedLabs } from "./machines/lab";
import { type RunFlags, runCommand } from "./run-command";
import { EVENT_FORMS, type EventName, formText } from "./scenario/event";
import type { Surroundings } from "./surroundings";

/** `holdfast rehearse …`: deployments on this machine's own containers, before anything costs money. */
export function rehearseCommand(surroundings: Surroundings): Command {
  const { stdout } = surroundings;
  const rehearse = new Commander("rehearse")
    .description("apply a deployment to an emulated AWS on this machine, lose and roll its nodes, and report")
    .argument(
      "<deployment>",
      "name of a document in deployments/, a YAML file (FILE#NAME), or a directory with Terraform",
    )
    .option(
      "--event <event>",
      "something that happens once all is well; may be repeated (default: lose any, roll)",
      several,
    )
    .option("--scenario <file>", "YAML with events, deadline, roll (settings of the rolling update) and writer")
    .addOption(
      new Option(
        "--machines <kind>",
        "what stands for instances: records, or containers (default: container where this machine can)",
      ).choices(["none", "container"]),
    )
    .option("--packages <names>", "Debian packages in the containers' image, separated by commas", names)
    .option("--image <name>", "an image of one's own for the containers, in place of Debian with the packages")
    .option(
      "--deadline <time>",
      "how long the boot, and each event, may take to be well (default: 10m)",
      refusing(parseDuration),
    )
    .option("--output <directory>", "where report, picture, story and logs go (default: rehearsal.out/DEPLOYMENT)")
    .option("--keep", "stay up after the last event, until Ctrl-C")
    .option("--json", "print one JSON object a line, on a terminal too")
    .addHelpText("after", HELP)
    .action(async (deployment: string, flags: RunFlags) => {
      surroundings.exit(await runCommand(deployment, flags, surroundings));
    });
  rehearse
    .command("clean")
    .description("remove what labs left whose process has ended: containers, volumes, networks")
    .addHelpText("after", `\nLabs that run are not touched. Needs root.\n${examples("holdfast rehearse clean")}`)
    .action(async () => {
      const removed = await removeAbandonedLabs();
      stdout.write(
        removed.length === 0 ? "nothing to remove\n" : `removed ${removed.map((id) => `lab ${id}`).join(", ")}\n`,
      );
    });
  for (const command of controlCommands(surroundings)) rehearse.addCommand(command);
  return rehearse;
}

function several(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

const names = (text: string) => text.split(",").filter(Boolean);

const EVENT_LINES = Object.entries(EVENT_FORMS).map(
  ([name, { summary }]) => `  ${formText(name as EventName).padEnd(30)}${summary}`,
);

const HELP = `
Events; NODE is a node id, POOL/NUMBER for an instance of a pool, or any:
${EVENT_LINES.join("\n")}

Examples:
  $ holdfast rehearse zookeeper
  $ holdfast rehearse deployments/zookeeper.yaml --event "lose 01" --event roll
  $ holdfast rehearse ./infrastructure --machines none --event "slow-boot any for 30s" --json > story.ndjson
  $ holdfast rehearse zookeeper --scenario weekend.yaml --keep

Exit codes: ${EXIT.well} all went well, ${EXIT.failed} something did not, ${EXIT.wrongUse} it could not begin as asked, 64 a mistake in the command line, ${EXIT.interrupted} interrupted`;
