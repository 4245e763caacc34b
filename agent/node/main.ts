import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { awsClient } from "../host/aws";
import { roleCredentials } from "../host/credentials";
import { dnsSuffix, imdsClient } from "../host/imds";
import { createLog, reason } from "../host/log";
import { boot } from "./boot";
import { readConfiguration } from "./configuration";
import { BOOT_FAILED, installUnit, UNIT } from "./install-unit";
import { readState } from "./state";
import { exitStatus, statusText } from "./status";

const USAGE = `holdfast-node status [--json]   how far the boot is, or why it failed
                                (exit status: 0 ready, 1 failed, 2 running, 3 not started)
holdfast-node logs [--follow]   what the agent and the node config script wrote
holdfast-node retry             runs the boot again, from what is there

Example: holdfast-node status && holdfast-node logs`;

/** systemd sets these from ConfigurationDirectory=, StateDirectory= and LogsDirectory=, see systemd.exec(5). */
const {
  CONFIGURATION_DIRECTORY = "/etc/holdfast",
  STATE_DIRECTORY = "/var/lib/holdfast",
  LOGS_DIRECTORY = "/var/log/holdfast",
} = process.env;
const paths = {
  configuration: join(CONFIGURATION_DIRECTORY, "node.json"),
  state: join(STATE_DIRECTORY, "node-boot.json"),
  script: join(STATE_DIRECTORY, "node-config-script.sh"),
  scriptLog: join(LOGS_DIRECTORY, "node-config-script.log"),
};

const COMMANDS: Readonly<Record<string, (flags: { json?: boolean; follow?: boolean }) => Promise<number>>> = {
  async boot() {
    await installUnit(process.execPath, process.argv[1] as string);
    return 0;
  },
  async run() {
    const log = createLog();
    const configuration = await readConfiguration(paths.configuration);
    const imds = imdsClient();
    const connect = async (region: string) =>
      awsClient({ region, credentials: roleCredentials(imds), dnsSuffix: await dnsSuffix(imds) });
    return (await boot({ configuration, imds, connect, log, paths })) === "ready" ? 0 : BOOT_FAILED;
  },
  async status({ json }) {
    const state = await readState(paths.state);
    console.log(json ? JSON.stringify(state ?? null) : statusText(state));
    return exitStatus(state);
  },
  logs: ({ follow }) =>
    exec("journalctl", ["--unit", UNIT, "--output", "cat", ...(follow ? ["--follow"] : ["--no-pager"])]),
  async retry() {
    const status = await exec("systemctl", ["restart", "--no-block", UNIT]);
    if (status === 0) console.log("the boot runs again; follow it with holdfast-node logs --follow");
    return status;
  },
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { json: { type: "boolean" }, follow: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const command = COMMANDS[positionals[0] ?? ""];
  if (values.help || !command || positionals.length > 1) {
    (values.help ? console.log : console.error)(USAGE);
    return values.help ? 0 : 2;
  }
  return command(values);
}

function exec(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    spawn(command, args, { stdio: "inherit" })
      .on("error", reject)
      .on("exit", (status) => resolve(status ?? 1));
  });
}

main().then(
  (status) => process.exit(status),
  (error) => {
    console.error(`holdfast-node: ${reason(error)}`);
    process.exit(1);
  },
);
