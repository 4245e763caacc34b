import { Command, CommanderError } from "commander";
import { EXIT } from "./rolling-update/cli/exit-codes";
import { rollCommand } from "./rolling-update/cli/roll-command";
import { awsSurroundings } from "./rolling-update/cli/surroundings";

/** The `holdfast` command line. */
async function main(): Promise<void> {
  const program = new Command("holdfast").description("worker fleets and stateful nodes on AWS");
  program.addCommand(
    rollCommand(awsSurroundings, (code) => {
      process.exitCode = code;
    }),
  );
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
