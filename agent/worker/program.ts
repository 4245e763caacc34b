/** The worker agent's program: `run` on an instance of a fleet, beside `guard`; `local` on a machine of one's own. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { isMainThread } from "node:worker_threads";
import { createLog, reason } from "../host/log";
import type { AgentSignals } from "./agent";
import { runGuard } from "./guard";
import { beatInThread } from "./heartbeat-thread";
import { runInstanceAgent } from "./instance-agent";
import { runLocalAgent } from "./local";
import { parseLocalConfig } from "./local-config";
import { PATHS } from "./paths";
import release from "./release.json";
import { daemonProgram, UPGRADABLE } from "./upgrade/instance-upgrades";
import { prepareStart } from "./upgrade/prepare";
import { watchTrial } from "./upgrade/trial-watch";

/** As sysexits.h has it: try again. Service managers that restart what fails do so. */
const RESTART_STATUS = 75;

const HELP = `usage: worker-agent.mjs local --config FILE

Runs jobs of a control plane on this machine, each as a process of its own. docs/worker-agent.md describes the file.

  SIGTERM, SIGINT  gives every job back, says goodbye, ends
  SIGHUP           ends at once and leaves the daemons running; start it again within the lease

It ends with status ${RESTART_STATUS}, and leaves the daemons running, when it wants to be started again: a program was upgraded.
`;

function signals(): AgentSignals {
  const stop = new AbortController();
  const handOver = new AbortController();
  process.on("SIGTERM", () => stop.abort());
  process.on("SIGINT", () => stop.abort());
  process.on("SIGHUP", () => handOver.abort());
  return { stop: stop.signal, handOver: handOver.signal };
}

const option = (name: "config" | "directory"): string => {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: { config: { type: "string" }, directory: { type: "string" } },
  });
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is missing\n${HELP}`);
  return value;
};

const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  local: async () => {
    const path = option("config");
    const config = parseLocalConfig(await readFile(path, "utf8"), path);
    return await runLocalAgent(config, createLog(), signals());
  },
  run: () => runInstanceAgent(signals()),
  guard: () => runGuard({ directory: PATHS.guard, socket: PATHS.guardSocket, daemon: daemonProgram }, createLog()),
  prepare: () => prepareStart(PATHS.upgrades, Object.values(UPGRADABLE), createLog()),
  "watch-upgrade": () => {
    // It outlives the terminal and whoever started it.
    for (const name of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(name, () => {});
    return watchTrial(option("directory"), createLog());
  },
  "--version": async () => void process.stdout.write(`${release.version}\n`),
};

function main(): void {
  const command = commands[process.argv[2] ?? ""];
  if (!command) {
    process.stdout.write(HELP);
    process.exit(process.argv[2] === "--help" ? 0 : 2);
  }
  command().then(
    (end) => process.exit(end === "restart" ? RESTART_STATUS : 0),
    (error) => {
      console.error(reason(error));
      process.exit(1);
    },
  );
}

if (isMainThread) main();
else void beatInThread();
