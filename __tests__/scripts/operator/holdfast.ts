import { Command, CommanderError } from "commander";
import { operatorCommands } from "../../../scripts/operator/commands";

/** How a command ended, and what it said. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `holdfast` with these words, without a process of its own. What is no error for operators is thrown. */
export async function holdfast(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const told = { out: "", err: "" };
  let code = -1;
  const program = new Command("holdfast").exitOverride();
  const surroundings = {
    environment,
    out: (text: string) => (told.out += text),
    err: (text: string) => (told.err += text),
    exit: (status: number) => {
      code = status;
    },
  };
  for (const group of operatorCommands(surroundings)) {
    program.addCommand(group);
    for (const command of [group, ...group.commands]) {
      command.exitOverride().configureOutput({ writeOut: surroundings.out, writeErr: surroundings.err });
    }
  }
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    code = error.exitCode;
  }
  return { code, ...told };
}
