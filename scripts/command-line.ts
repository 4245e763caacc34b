import type { Command, CommanderError } from "commander";

/** What the shell is told of a mistake in the command line. */
export const USAGE = 64;
/** What a shell says of a program whose reader has gone, when the signal for that (13) ends it. */
const READER_GONE = 128 + 13;

/** Runs what the command line says; a mistake in it is told with the command that shows what may be written, and ends with {@link USAGE}. */
export async function parse(program: Command): Promise<void> {
  endWithReader();
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

/** Whose reader has gone, as in `… | head -1`, ends without a word; work under way is asked to end in order, as by SIGTERM. */
function endWithReader(): void {
  let isGone = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (isGone) return;
    isGone = true;
    if (!process.emit("SIGTERM", "SIGTERM")) process.exit(READER_GONE);
  });
}
