import { spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Characters of what a program said last that tell why it failed. */
const TAIL = 2_000;

/** How a program is run. */
export interface ProgramRun {
  /** Beside the roller's own. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** The roller has other work: where it ends before the program does, so does the program. */
  readonly isBeside?: true;
}

/**
 * Runs an operator's program to its end, without a shell. It is a process group of its own, so that a Ctrl-C is heard by the roller
 * alone.
 * @throws Error with how it ended, and the end of its standard error.
 */
export function runProgram(
  command: string,
  args: readonly string[],
  { env, signal, isBeside }: ProgramRun,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      env: { ...process.env, ...env },
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-TAIL);
    });
    const end = () => {
      try {
        process.kill(-(child.pid ?? Number.NaN), "SIGTERM");
      } catch {
        // It has ended, or never began.
      }
    };
    if (isBeside) {
      child.unref();
      (child.stderr as Socket).unref();
      process.on("exit", end);
    }
    const settle = (how: string | undefined) => {
      process.off("exit", end);
      signal.removeEventListener("abort", end);
      const why = how && (signal.aborted ? "did not end in time" : how);
      if (why === undefined) resolve();
      else reject(new Error([`${command} ${why}`, said.trim()].filter(Boolean).join(": ")));
    };
    signal.addEventListener("abort", end);
    child.on("error", ({ message }) => settle(`did not start: ${message}`));
    child.on("close", (code, by) => settle(code === 0 ? undefined : `ended with ${code ?? by}`));
  });
}
