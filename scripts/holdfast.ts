import { Command, CommanderError } from "commander";
import { operatorCommands } from "./operator/commands";
import { rehearseCommand } from "./rehearse/rehearse-command";
import { EXIT } from "./rolling-update/cli/exit-codes";
import { rollCommand } from "./rolling-update/cli/roll-command";
import { awsSurroundings } from "./rolling-update/cli/surroundings";

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
  rehearseCommand((text) => process.stdout.write(text)),
];

async function main(): Promise<void> {
  const program = new Command("holdfast").description("worker fleets and stateful nodes on AWS");
  for (const group of GROUPS) program.addCommand(group);
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride();
  }
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}

void main();
