/** The worker agent's program: `run` on an instance of a fleet, beside `guard`; `local` on a machine of one's own. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { createLog, reason } from "../host/log";
import type { AgentSignals } from "./agent";
import { runGuard } from "./guard";
import { runInstanceAgent } from "./instance-agent";
import { runLocalAgent } from "./local";
import { parseLocalConfig } from "./local-config";
import { PATHS } from "./paths";

const HELP = `usage: worker-agent.mjs local --config FILE

Runs jobs of a control plane on this machine, each as a process of its own. docs/worker-agent.md describes the file.

  SIGTERM, SIGINT  gives every job back, says goodbye, ends
  SIGHUP           ends at once and leaves the daemons running; start it again within the lease
`;

function signals(): AgentSignals {
  const stop = new AbortController();
  const handOver = new AbortController();
  process.on("SIGTERM", () => stop.abort());
  process.on("SIGINT", () => stop.abort());
  process.on("SIGHUP", () => handOver.abort());
  return { stop: stop.signal, handOver: handOver.signal };
}

function configFile(): string {
  const { values } = parseArgs({ args: process.argv.slice(3), options: { config: { type: "string" } } });
  if (values.config === undefined) throw new Error(`--config is missing\n${HELP}`);
  return values.config;
}

const commands: Readonly<Record<string, () => Promise<void>>> = {
  local: async () => {
    const config = parseLocalConfig(await readFile(configFile(), "utf8"));
    await runLocalAgent(config, createLog(), signals());
  },
  run: () => runInstanceAgent(signals()),
  guard: () => runGuard({ directory: PATHS.guard, socket: PATHS.guardSocket, daemon: PATHS.daemon }, createLog()),
};

const command = commands[process.argv[2] ?? ""];
if (!command) {
  process.stdout.write(HELP);
  process.exit(process.argv[2] === "--help" ? 0 : 2);
}
command().then(
  () => process.exit(0),
  (error) => {
    console.error(reason(error));
    process.exit(1);
  },
);
