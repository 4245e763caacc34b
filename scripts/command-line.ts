import type { Command, CommanderError } from "commander";

/** What the shell is told of a mistake in the command line. */
export const USAGE = 64;
/** What a shell says of a program whose reader has gone, when the signal for that (13) ends it. */
const READER_GONE = 128 + 13;

/** Runs what the command line says; a mistake in it is told with the command that shows what may be written, and ends with {@link USAGE}. */
export async function parse(program: Command): Promise<void> {
  endWithOutput();
  for (const command of commandsOf(program)) {
    command.exitOverride().showHelpAfterError(`  next: ${pathOf(command)} --help`);
  }
  try {
    await program.parseAsync();
  } catch (error) {
    // Told by its code: programs that take the examples alone have no room for the package.
    const { code, exitCode } = error as CommanderError;
    if (!code?.startsWith("commander.")) throw error;
    process.exitCode = exitCode === 0 ? 0 : USAGE;
  }
}

/** Examples as they stand below a command's help. */
export function examples(...lines: readonly string[]): string {
  return ["", "Examples:", ...lines.map((line) => `  $ ${line}`)].join("\n");
}

/** A command has not done what it was to do: why, and what comes next. */
export function fail(error: unknown, next?: string): void {
  const { message, code } = (error instanceof Error ? error : { message: String(error) }) as NodeJS.ErrnoException;
  // Of a host with several addresses Node.js gives a code alone.
  console.error([`error: ${message || code}`, ...(next === undefined ? [] : [`  next: ${next}`])].join("\n"));
  process.exitCode = 1;
}

/** The command and all below it. */
export function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

/** As it is called: `holdfast roll plan`. */
function pathOf(command: Command): string {
  const { parent } = command;
  return parent === null ? command.name() : `${pathOf(parent)} ${command.name()}`;
}

/**
 * A program whose output goes nowhere ends: without a word where its reader has gone, as in `… | head -1`, else with what went wrong, as on a
 * full disk. Work under way is asked to end in order, as by SIGTERM. What is said beside the output may be lost.
 */
function endWithOutput(): void {
  let isLost = false;
  process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    if (isLost) return;
    isLost = true;
    const isReaderGone = code === "EPIPE";
    if (!isReaderGone) {
      console.error(`error: cannot write to standard output: ${message.replace(/, write$/, "")}`);
      process.once("exit", () => {
        process.exitCode = 1;
      });
    }
    if (!process.emit("SIGTERM", "SIGTERM")) process.exit(isReaderGone ? READER_GONE : 1);
  });
  process.stderr.on("error", () => undefined);
}
