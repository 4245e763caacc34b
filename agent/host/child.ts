import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { DeadlineError } from "./waiting";

export interface RunOptions {
  /** The whole process group gets SIGTERM then, and SIGKILL 5 seconds later. */
  readonly timeoutMs: number;
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Given to the program on standard input. */
  readonly input?: string;
  /** Every line of output as it comes, of both streams. */
  readonly onLine?: (line: string) => void;
}

const KILL_AFTER_MS = 5_000;
const REMEMBERED_LINES = 20;

/**
 * Runs a program to its end and returns what it wrote to standard output.
 *
 * @throws Error with the command, its exit status and its last lines, if the status is not 0.
 * @throws DeadlineError if it had to be ended.
 */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      detached: true,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const name = [command, ...args].join(" ");
    const lastLines: string[] = [];
    let output = "";
    let late = false;

    const killGroup = (signal: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // Already gone.
      }
    };
    let killer: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      late = true;
      killGroup("SIGTERM");
      killer = setTimeout(() => killGroup("SIGKILL"), KILL_AFTER_MS);
    }, options.timeoutMs);

    const remember = (line: string) => {
      lastLines.push(line);
      if (lastLines.length > REMEMBERED_LINES) lastLines.shift();
      options.onLine?.(line);
    };
    const finish = (error?: Error) => {
      clearTimeout(timer);
      clearTimeout(killer);
      if (error) reject(error);
      else resolve(output);
    };
    child.on("error", (error) => finish(new Error(`${name} did not start`, { cause: error })));
    // Where no file descriptor is left it has no streams.
    if (child.pid === undefined) return;

    createInterface({ input: child.stdout }).on("line", (line) => {
      output += `${line}\n`;
      remember(line);
    });
    createInterface({ input: child.stderr }).on("line", remember);

    // A program may end without reading its input.
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");

    child.on("close", (status, signal) => {
      if (late) return finish(new DeadlineError(`${name} did not finish within ${options.timeoutMs / 1000} s`));
      if (status === 0) return finish();
      const end = status === null ? `was ended by ${signal}` : `failed with status ${status}`;
      finish(new Error([`${name} ${end}`, ...lastLines].join("\n")));
    });
  });
}
