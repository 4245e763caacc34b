import { Command } from "commander";
import { version } from "../package.json";
import { examples, parse } from "./command-line";
import { operatorCommands } from "./operator/commands";
import { rehearseCommand } from "./rehearse/rehearse-command";
import { awsSurroundings } from "./rolling-update/cli/aws-surroundings";
import { rollCommand } from "./rolling-update/cli/roll-command";

const exit = (code: number) => {
  process.exitCode = code;
};

/** The `holdfast` command line: one file per group of commands. */
const GROUPS: readonly Command[] = [
  rollCommand(awsSurroundings, exit),
  ...operatorCommands({
    environment: process.env,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    exit,
  }),
  rehearseCommand({ stdout: process.stdout, stderr: process.stderr, exit }),
];

const HELP = examples(
  "holdfast rehearse zookeeper",
  "holdfast roll plan --cluster orders.json",
  "holdfast job create orders --source orders-db --sink warehouse --tables public.orders",
  "holdfast job create --help",
);

async function main(): Promise<void> {
  const program = new Command("holdfast")
    .description("worker fleets and stateful nodes on AWS")
    .version(version)
    .addHelpText("after", HELP);
  for (const group of GROUPS) program.addCommand(group);
  await parse(program);
}

void main();
