import { run } from "../../emulator/child";
import { CommandFailed } from "../../emulator/command-failed";

/** Runs a command on this machine. @returns what it printed. @throws CommandFailed */
export async function command(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, {});
  if (code !== 0) throw new CommandFailed([program, ...args], code, stdout, stderr);
  return stdout.trim();
}

/** Whether a command succeeds; for questions and for removing what may be gone. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return (await run(program, args, {})).code === 0;
}
