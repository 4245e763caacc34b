import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { identify } from "../up/process-identity";
import { Program } from "./program";
import { agentAs, linkVersion } from "./releases";
import { workerName } from "./schedule";
import type { SeverableProxy } from "./severable-proxy";
import { until } from "./until";

/** Of the agent that is there before any upgrade. */
const FIRST_VERSION = "1.0.0";
const GATE_SECONDS = 5;
/** What the system does not say of a process at once, for want of files for instance, it says a moment later. */
const TOLD_WITHIN_MS = 10_000;
const DAEMON = resolve("dist/daemon.mjs");

export interface WorkerProps {
  readonly number: number;
  readonly directory: string;
  readonly deploymentTokenFile: string;
  readonly slots: number;
  /** Verifies the agents that it is given. */
  readonly releaseKeyFile: string;
  /** All its roads: the agent's to the control plane, its daemons' to the databases. */
  readonly roads: Roads;
}

/** The ways that a worker alone uses. */
export type Roads = Readonly<Record<"control-plane" | "source" | "sink", SeverableProxy>>;

/** A daemon as its worker has recorded it. */
export interface FoundDaemon {
  readonly pid: number;
  readonly jobId: string;
  readonly fence: number;
}

/** A machine of the fleet: an agent and its daemons, which reach the others over roads of their own. */
export class Worker {
  readonly name: string;
  readonly agent: Program;
  readonly logFile: string;
  private readonly state: string;

  constructor({ number, directory, deploymentTokenFile, releaseKeyFile, slots, roads }: WorkerProps) {
    this.name = workerName(number);
    this.state = join(directory, this.name);
    this.logFile = join(directory, `${this.name}.log`);
    mkdirSync(this.state, { recursive: true, mode: 0o700 });
    const roadmap = join(this.state, "roads.cjs");
    writeFileSync(roadmap, roadsOf({ SOURCE_URL: roads.source.port, SINK_URL: roads.sink.port }));
    const config = join(this.state, "config.json");
    const settings = {
      controlPlaneUrl: `http://127.0.0.1:${roads["control-plane"].port}`,
      deploymentTokenFile,
      workerId: this.name,
      stateDirectory: this.state,
      slots,
      daemon: { version: "0.1.0", command: [process.execPath, "--require", roadmap, DAEMON] },
      upgrade: { releaseKeyFile, gateSeconds: GATE_SECONDS },
      drain: { mode: "handoff", deadlineSeconds: 30 },
    };
    writeFileSync(config, JSON.stringify(settings), { mode: 0o600 });
    const agent = linkVersion(join(this.state, "agents"), FIRST_VERSION, "worker-agent.mjs", agentAs(FIRST_VERSION));
    this.agent = new Program({ args: [agent, "local", "--config", config], cwd: this.state, logFile: this.logFile });
  }

  /** The daemons that are alive now. @throws Error when the system does not say, see `identify`. */
  daemons(): readonly FoundDaemon[] {
    const jobs = join(this.state, "jobs");
    if (!existsSync(jobs)) return [];
    return readdirSync(jobs).flatMap((name) => daemonIn(join(jobs, name)));
  }

  /** The agent, what watches over an upgrade of it, its daemons, and what stands in their groups beside them: their leashes. @throws as `daemons` */
  everything(): readonly number[] {
    const watcher = readJson(join(this.state, "upgrade-watcher.json"));
    const watcherPid = watcher && identify(watcher.pid)?.start === watcher.start ? [watcher.pid as number] : [];
    const agentPid = this.agent.pid === undefined ? [] : [this.agent.pid];
    const groups = this.daemons().map(({ pid }) => pid);
    const { stdout = "" } = groups.length === 0 ? {} : spawnSync("pgrep", ["-g", groups.join()], { encoding: "utf8" });
    return [...agentPid, ...watcherPid, ...stdout.split("\n").filter(Boolean).map(Number)];
  }

  /**
   * Ends everything at once, for good.
   *
   * @throws Error when the system does not say for ten seconds which of its daemons live: they may run on.
   */
  async destroy(): Promise<void> {
    await this.agent.kill();
    // One look may miss a daemon that was being started.
    for (let look = 0; look < 2; look++) {
      const pids = await until(`what ${this.name} runs`, TOLD_WITHIN_MS, async () => this.everything());
      for (const pid of pids) signal(pid, "SIGKILL");
    }
  }
}

/** Loaded into each daemon before its program: one datasource serves all workers, and each takes its own road to it. */
function roadsOf(ports: Readonly<Record<string, number>>): string {
  return `for (const [name, port] of Object.entries(${JSON.stringify(ports)})) {
  const url = new URL(process.env[name]);
  url.port = String(port);
  process.env[name] = url.href;
}
`;
}

function daemonIn(folder: string): FoundDaemon[] {
  const record = readJson(join(folder, "job.json"));
  const recorded = readText(join(folder, "process"));
  if (!record || recorded === undefined) return [];
  const pid = Number(recorded.split("\n")[0]);
  const start = identify(pid)?.start;
  // The record holds the process's own line of /proc, or what ps says of its start.
  if (start === undefined || !recorded.split(/\s+/).join(" ").includes(start.split(/\s+/).join(" "))) return [];
  return [{ pid, jobId: record.jobId, fence: record.fence }];
}

/** Sends a signal to a process that may be gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is.
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the agent's own files, whose fields are read one by one
function readJson(file: string): any {
  const text = readText(file);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
