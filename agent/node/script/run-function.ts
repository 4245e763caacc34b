import { spawn } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { DeadlineError } from "../../host/waiting";
import { LineReader } from "./line-reader";

export interface ScriptCall {
  readonly script: string;
  /** One of the functions that the script defines. */
  readonly call: "configure_cluster_node" | "wait_for_healthy_cluster";
  readonly nodeId: string;
  readonly nodeIp: string;
  readonly region: string;
  /** Output is appended here and read back from here. */
  readonly logFile: string;
  readonly onLine: (line: string) => void;
  readonly timeoutMs: number;
}

/**
 * The script is sourced by its absolute path, since bash looks in PATH for a name without a slash, and a failing command ends it.
 */
const PROGRAM = `
set -e
source "$1"
for name in configure_cluster_node wait_for_healthy_cluster; do
  declare -F "$name" >/dev/null || { echo "the node config script does not define $name" >&2; exit 127; }
done
shift
"$@"
`;

const READ_EVERY_MS = 200;
const KILL_AFTER_MS = 5_000;
const TAIL_LINES = 20;

/**
 * Runs one function of the node config script in a bash of its own, with an environment of its own, and streams its output.
 *
 * The output goes to a file, not to a pipe: a daemon that the script leaves in the background keeps writing after this program has
 * ended, and neither blocks on it nor holds up the end of the call. A call that outlived its agent is waited for.
 *
 * @throws Error with the exit status and the last lines of output; DeadlineError, with them, if it had to be ended.
 */
export async function runScriptFunction(options: ScriptCall): Promise<void> {
  const { script, call, nodeId, nodeIp, region, logFile, onLine, timeoutMs } = options;
  await mkdir(dirname(logFile), { recursive: true });
  const output = await open(logFile, "a", 0o600);
  const tail: string[] = [];
  const reader = new LineReader(logFile, (await output.stat()).size, (line) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
    onLine(line);
  });
  const polling = setInterval(() => void reader.read(), READ_EVERY_MS);
  try {
    const end = await finished(
      // The lock outlives a killed agent as long as the call does, and is not passed on to what the script starts.
      spawn(
        "flock",
        ["--close", `${script}.lock`, "/bin/bash", "-c", PROGRAM, "holdfast-node", script, call, nodeId, nodeIp],
        {
          cwd: "/",
          detached: true,
          stdio: ["ignore", output.fd, output.fd],
          env: {
            PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            HOME: "/root",
            LANG: "C.UTF-8",
            AWS_REGION: region,
            AWS_DEFAULT_REGION: region,
          },
        },
      ),
      timeoutMs,
    );
    await reader.finish();
    if (end === "late")
      throw new DeadlineError([`${call} did not finish within ${timeoutMs / 1000} s`, ...tail].join("\n"));
    if (end !== 0) throw new Error([`${call} ${end}`, ...tail].join("\n"));
  } finally {
    clearInterval(polling);
    await output.close();
  }
}

/** 0, what went wrong, or "late" after the whole process group was ended. */
function finished(child: ReturnType<typeof spawn>, timeoutMs: number): Promise<0 | string> {
  return new Promise((resolve, reject) => {
    const signalGroup = (signal: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // Already gone.
      }
    };
    let late = false;
    let killer: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      late = true;
      signalGroup("SIGTERM");
      killer = setTimeout(() => signalGroup("SIGKILL"), KILL_AFTER_MS);
    }, timeoutMs);
    child.on("error", reject);
    // Not "close": a background process may hold the output for ever.
    child.on("exit", (status, signal) => {
      clearTimeout(timer);
      clearTimeout(killer);
      if (late) resolve("late");
      else if (status === 0) resolve(0);
      else resolve(status === null ? `was ended by ${signal}` : `failed with status ${status}`);
    });
  });
}
