import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism, constants, getPriority, setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Bench, Measurement } from "../bench/bench";
import { until } from "../chaos/until";
import { fieldsFromState } from "../proc-stat";
import { untilEnded } from "../until-ended";
import { usageOf } from "./usage";

const AGENT = resolve("dist/worker-agent.mjs");
const JOBS = 100;
const PERIOD_MS = 2_000;
const WINDOW_MS = 30_000;
const PATIENCE_MS = 300_000;
const LOG_BYTES_PER_SECOND = 10 * 1_024 * 1_024;
/** Programs that never rest, for each of the machine's cores. */
const BUSY_PER_CORE = [1, 4];
/** Far from the period that is wanted. */
const TOLERANCE = 0.1;

/** Tells the farm of its port, and writes its share of the log. One of five never rests any more once there is the second file. */
const DAEMON = `printf '%s %s %s\\n' "$DBMAZZ_CONTROL_PORT" "$SOURCE_SLOT_NAME" "$TABLES" >"/dev/tcp/127.0.0.1/$1"
while :; do head -c ${Math.round(LOG_BYTES_PER_SECOND / JOBS)} /dev/zero | tr '\\0' 'x'; echo; sleep 1
if [ -e "$2" ]; then ((DBMAZZ_CONTROL_PORT % 5)) || while :; do :; done & set -- "$1" ""; fi; done`;

/** What a program can do that sends heartbeats and nothing else. */
const BARE = `const { request, Agent } = require("node:http");
const agent = new Agent({ keepAlive: true });
(function beat() {
  const sentAt = performance.now();
  const again = () => setTimeout(beat, ${PERIOD_MS} - (performance.now() - sentAt));
  request(process.argv[1], { agent, method: "POST" }, (answer) => answer.resume().on("end", again)).end("{}");
})();`;

/**
 * How evenly heartbeats come from an agent that has much to do on a machine that has more, seen by the process that receives them,
 * beside those of a program that does nothing else: what both are off is the machine's.
 */
export const heartbeatPeriod: Bench = {
  name: "heartbeat-period",
  about: `the time between heartbeats of an agent with ${JOBS} jobs that log 10 MB/s, wanted every ${PERIOD_MS} ms: on a quiet machine, beside jobs that want every core, and beside others that do`,
  run: async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
    const children: ChildProcess[] = [];
    const end = untilEnded(() => {
      for (const child of children.reverse()) child.kill("SIGKILL");
      endDaemons(directory);
      rmSync(directory, { recursive: true, force: true });
    });
    const priority = favourThisProcess();
    const start = (...args: string[]) => {
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      children.push(child);
      priority.restore(child.pid ?? 0);
      return child;
    };
    const plane = await listen(JOBS);
    try {
      const farm = start("--import", "tsx", "scripts/bench-fleet/daemon-farm.ts");
      const port = Number(await new Promise((done) => farm.stdout.once("data", done)));
      const agent = start(AGENT, "local", "--config", configOf(directory, plane.url, port));
      agent.stdout.resume();
      start("-e", BARE, `${plane.url}/bare`);
      await until("every job runs", PATIENCE_MS, async () => (plane.running() === JOBS ? true : undefined));
      const measure = (name: string) => spread(name, plane, agent.pid ?? 0);
      const rows = await measure("all jobs run");
      writeFileSync(restless(directory), "");
      rows.push(...(await measure("and every fifth of them never rests")));
      let wanting = 0;
      for (const perCore of BUSY_PER_CORE) {
        for (; wanting < perCore * availableParallelism(); wanting++) {
          start("-e", "for(;;);");
        }
        rows.push(...(await measure(`and each core is wanted by ${perCore} more`)));
      }
      return rows;
    } finally {
      end();
      priority.restore(process.pid);
      await plane.close();
    }
  },
};

/** Tells jobs to rest no more. */
const restless = (directory: string) => join(directory, "restless");

/** Of the agent; gives the file. */
function configOf(directory: string, controlPlaneUrl: string, farmPort: number): string {
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const config = {
    controlPlaneUrl,
    deploymentTokenFile: file("token", "token"),
    workerId: "bench",
    stateDirectory: join(directory, "state"),
    slots: JOBS,
    daemon: { version: "0.1.0", command: ["bash", file("daemon.sh", DAEMON), String(farmPort), restless(directory)] },
  };
  return file("config.json", JSON.stringify(config));
}

/** What this process is late to see is not the senders': it comes first. Only root may have that; `restore` is for what it starts. */
function favourThisProcess(): { readonly restore: (pid: number) => void } {
  const usual = getPriority();
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST);
    return { restore: (pid) => setPriority(pid, usual) };
  } catch {
    return { restore: () => {} };
  }
}

interface Arrivals {
  /** When each heartbeat came, of the agent and of the bare program. */
  readonly arrivals: readonly number[];
  readonly bare: readonly number[];
  /** How many jobs the last one listed as running. */
  readonly running: () => number;
}

/** A control plane that grants so many jobs, and notes when heartbeats come. */
async function listen(jobs: number) {
  const arrivals: number[] = [];
  const bare: number[] = [];
  let running = 0;
  let granted = false;
  const side = { engine: "postgres", url: "postgres://db.internal/shop", user: "cdc", password: "none", options: {} };
  const spec = { source: side, sink: side, tables: ["orders"], snapshot: false, onDisconnect: "stop", options: {} };
  const grant = (_: unknown, number: number) => ({
    jobId: randomUUID(),
    fence: 1,
    attempt: 1,
    deadlineMs: PATIENCE_MS,
    spec: { ...spec, name: `job-${number}` },
    resume: null,
  });
  const answerTo = async (name: string, body: string): Promise<object | undefined> => {
    if (name === "bare") return void bare.push(performance.now());
    if (name === "register") return { protocol: 1, token: "x".repeat(32), progressMs: 30_000, metricsMs: 60_000 };
    if (name === "heartbeat") {
      arrivals.push(performance.now());
      running = JSON.parse(body).running.filter(({ status }: { status: string }) => status === "running").length;
      return { leaseMs: PATIENCE_MS, nextMs: PERIOD_MS, actions: [] };
    }
    if (name !== "claim") return name === "progress" ? { seq: JSON.parse(body).checkpoint.seq } : {};
    if (granted) await pause(PERIOD_MS);
    const grants = granted ? [] : Array.from({ length: jobs }, grant);
    granted = true;
    return { grants, nextMs: PERIOD_MS, actions: [] };
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const name = request.url?.split("/").pop() ?? "";
    response.end(JSON.stringify(await answerTo(name, Buffer.concat(chunks).toString())));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    arrivals,
    bare,
    running: () => running,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function spread(name: string, { arrivals, bare, running }: Arrivals, agent: number): Promise<Measurement[]> {
  const before = [arrivals.length, bare.length];
  const { cpuMs } = usageOf(agent);
  await pause(WINDOW_MS);
  if (running() !== JOBS) throw new Error(`${name}: only ${running()} of ${JOBS} jobs still run`);
  const used = { "agent CPU ms/s": ((usageOf(agent).cpuMs - cpuMs) * 1_000) / WINDOW_MS };
  return [
    { case: name, figures: { ...used, ...offPeriod(arrivals.slice(Math.max(0, (before[0] ?? 0) - 1))) } },
    { case: "  a program that does nothing else", figures: offPeriod(bare.slice(Math.max(0, (before[1] ?? 0) - 1))) },
  ];
}

/** How far the times between heartbeats are from what is wanted. */
function offPeriod(seen: readonly number[]): Measurement["figures"] {
  const off = seen.slice(1).map((at, index) => Math.abs(at - (seen[index] ?? at) - PERIOD_MS) / PERIOD_MS);
  const sorted = off.sort((a, b) => a - b);
  return {
    heartbeats: sorted.length,
    "off %, p50": (sorted[Math.floor(sorted.length / 2)] ?? Number.NaN) * 100,
    "off %, most": (sorted.at(-1) ?? Number.NaN) * 100,
    "beyond 10 %": sorted.filter((share) => share > TOLERANCE).length,
  };
}

/** The daemons outlive their agent: each is a group of its own, and may have been started a moment ago, in this process's. */
function endDaemons(directory: string): void {
  const own = groupOf("self");
  for (;;) {
    const pids = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && isOf(directory, pid));
    if (pids.length === 0) return;
    for (const pid of pids) {
      const group = groupOf(pid);
      if (group !== undefined) unlessGone(() => process.kill(group === own ? Number(pid) : -group, "SIGKILL"));
    }
  }
}

/** Whether a process's command line names the folder; one that has ended has none. */
const isOf = (directory: string, pid: string): boolean =>
  unlessGone(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.includes(directory) === true;

const groupOf = (pid: string): number | undefined =>
  unlessGone(() => Number(fieldsFromState(readFileSync(`/proc/${pid}/stat`, "utf8"))[2]));

/** Undefined where the process has ended. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
