import { run } from "../../emulator/child";

/** A command that ended with another status than 0. */
export class CommandFailed extends Error {
  public override readonly name = "CommandFailed";

  public constructor(
    command: readonly string[],
    status: number,
    /** What it printed. */
    public readonly output: string,
  ) {
    super(`${command.join(" ")} ended with status ${status}: ${output}`);
  }
}

/** Runs a command on this machine. @returns what it printed. @throws CommandFailed */
export async function command(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, {});
  if (code !== 0) throw new CommandFailed([program, ...args], code, `${stdout}${stderr}`.trim());
  return stdout.trim();
}

/** Whether a command succeeds; for questions and for removing what may be gone. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return (await run(program, args, {})).code === 0;
}
