import { type Command, CommanderError } from "commander";
import { EXIT } from "./exit-codes";

/** Runs what the command line says; a mistake in it ends with the exit code for usage. */
export async function parse(program: Command): Promise<void> {
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  for (const command of all(program)) command.exitOverride();
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}
