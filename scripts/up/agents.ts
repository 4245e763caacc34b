import { type ChildProcess, spawn } from "node:child_process";
import { openSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { StateFolder } from "./state-folder";

const AGENT = resolve("dist/worker-agent.mjs");
const DAEMON = resolve("dist/daemon.mjs");

/** An agent that ended is started again after this long, as systemd would. */
const RESTART_MS = 2_000;
/** Time to give the jobs back; after it the agent is ended, and the daemons end with the lease. */
const STOP_MS = 45_000;

export interface AgentProps {
  readonly name: string;
  readonly controlPlaneUrl: string;
  readonly deploymentTokenFile: string;
  readonly state: StateFolder;
  readonly say: (text: string) => void;
}

export interface Agent {
  readonly name: string;
  /** Lets it give its jobs back. */
  stop(): Promise<void>;
  /** Ends the process at once. */
  kill(): void;
}

/** Runs one worker agent as a process of its own and starts it again whenever it ends. */
export function runAgent({ name, controlPlaneUrl, deploymentTokenFile, state, say }: AgentProps): Agent {
  const directory = state.folder("workers", name);
  const config = state.file("workers", name, "config.json");
  const settings = {
    controlPlaneUrl,
    deploymentTokenFile,
    workerId: name,
    stateDirectory: directory,
    daemon: { version: "0.1.0", command: [process.execPath, DAEMON] },
    drain: { mode: "handoff", deadlineSeconds: 30 },
  };
  writeFileSync(config, JSON.stringify(settings, null, 2), { mode: 0o600 });
  const log = state.file("workers", `${name}.log`);
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;
  let child: ChildProcess;
  let ended: Promise<void>;

  const start = (): void => {
    const output = openSync(log, "a", 0o600);
    child = spawn(process.execPath, [AGENT, "local", "--config", config], {
      cwd: directory,
      env: { PATH: process.env["PATH"] },
      // The terminal's Ctrl-C is for the fleet, which ends its parts in order.
      detached: true,
      stdio: ["ignore", output, output],
    });
    if (child.pid !== undefined) state.noteAgent(name, child.pid);
    ended = new Promise((done) => {
      child.once("error", () => done());
      child.once("exit", (status, signal) => {
        done();
        if (stopping) return;
        say(`${name} ended (${signal ?? `status ${status}`}) and is started again; its log is ${log}`);
        restart = setTimeout(start, RESTART_MS);
      });
    });
  };
  start();
  return {
    name,
    stop: async () => {
      stopping = true;
      clearTimeout(restart);
      child.kill("SIGTERM");
      const giveUp = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await ended;
      clearTimeout(giveUp);
    },
    kill: () => {
      stopping = true;
      clearTimeout(restart);
      child.kill("SIGKILL");
    },
  };
}
