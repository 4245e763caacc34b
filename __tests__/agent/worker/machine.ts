import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Pool } from "pg";
import { recordedDaemons } from "../../../agent/worker/daemon/process-host";
import { startOf } from "../../../agent/worker/daemon/process-identity";
import type { ControlPlane } from "../../../control-plane/api/server";
import { DEFAULT_TIMING, type LeaseTiming } from "../../../control-plane/lease/timing";
import { openDatabase } from "../../../control-plane/store/database";
import { Operator, startCopy } from "../../control-plane/api/clients";
import { type Cable, layCable } from "../../support/cable";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { eventually } from "../daemon/eventually";

const PROGRAM = resolve("dist/worker-agent.mjs");
const DAEMON = resolve("dist/daemon.mjs");
const DECODABLE = { wal_level: "logical", max_wal_senders: "40", max_replication_slots: "40", max_connections: "200" };

/** An agent as a process of its own, with a directory that outlives it. */
export interface RunningAgent {
  readonly process: ChildProcess;
  readonly directory: string;
  /** Every line of its log so far, of all its lives. */
  readonly lines: string[];
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Daemons of this worker that are alive. */
  daemons(): Promise<readonly { jobId: string; fence: number; pid: number }[]>;
}

/** A machine with PostgreSQL, a copy of the control plane and as many agents as a test wants. */
export interface Machine {
  readonly postgres: TestPostgres;
  readonly operator: Operator;
  readonly controlPlane: ControlPlane;
  readonly logs: readonly string[];
  /** Creates a source with a table `item` of three rows, an empty sink, and a job between them. */
  createJob(name: string, props?: object): Promise<TestJob>;
  startAgent(workerId: string, config?: object, directory?: string, program?: string): RunningAgent;
  /** The agents' way to the control plane. */
  readonly cable: Cable;
}

export interface TestJob {
  readonly id: string;
  readonly source: Pool;
  readonly sink: Pool;
  state(): Promise<Record<string, unknown>>;
  reaches(state: string): Promise<Record<string, unknown>>;
  /** Resolves when the sink's rows are the source's. */
  equal(): Promise<void>;
}

/** Gives the tests of a file one machine; agents and daemons that a test leaves are ended after it. */
export function useMachine(timing: LeaseTiming = DEFAULT_TIMING): Machine {
  jest.setTimeout(180_000);
  let postgres: TestPostgres;
  let copy: Awaited<ReturnType<typeof startCopy>>;
  let operator: Operator;
  const agents: RunningAgent[] = [];
  const directories = new Set<string>();
  let names = 0;
  let cable: Cable;

  beforeAll(async () => {
    postgres = await startTestPostgres(DECODABLE);
  });
  beforeEach(async () => {
    const { url } = await postgres.freshDatabase();
    copy = await startCopy(url, timing);
    cable = await layCable(copy.controlPlane.url);
    operator = await Operator.create(copy.controlPlane.url, url);
  });
  afterEach(async () => {
    for (const { process } of agents) process.kill("SIGKILL");
    await Promise.all(agents.splice(0).map(({ ended }) => ended));
    for (const directory of directories) await endDaemons(directory);
    directories.clear();
    await cable.close();
    await copy.controlPlane.stop();
    await dropSlots(postgres);
  });
  afterAll(async () => {
    await dropSlots(postgres);
    await postgres.stop();
  });

  const datasource = async (url: string) => {
    names += 1;
    const { username, password, host, pathname } = new URL(url);
    const { status, body } = await operator.post("/datasources", {
      name: `database-${names}`,
      engine: "postgres",
      url: `postgres://${host}${pathname}`,
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
    });
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body.id as string;
  };

  return {
    get postgres() {
      return postgres;
    },
    get operator() {
      return operator;
    },
    get controlPlane() {
      return copy.controlPlane;
    },
    get logs() {
      return copy.logs;
    },
    get cable() {
      return cable;
    },
    async createJob(name, props = {}) {
      const source = await postgres.freshDatabase({ migrated: false });
      const sink = await postgres.freshDatabase({ migrated: false });
      await source.pool.query("create table item (id int primary key, name text)");
      await source.pool.query("insert into item values (1, 'one'), (2, 'two'), (3, 'three')");
      const id = await operator.createJob(name, {
        sourceId: await datasource(source.url),
        sinkId: await datasource(sink.url),
        tables: ["item"],
        options: { FLUSH_INTERVAL_MS: "50" },
        ...props,
      });
      const rows = async (pool: Pool) => (await pool.query("select t::text as row from item t order by 1")).rows;
      const state = async () => (await operator.get(`/jobs/${id}`)).body;
      return {
        id,
        source: source.pool,
        sink: sink.pool,
        state,
        reaches: (wanted) =>
          eventually(
            `job ${name} is ${wanted}`,
            async () => {
              const now = await state();
              expect(now.state).toBe(wanted);
              return now;
            },
            60_000,
          ),
        equal: () =>
          eventually(
            `the sink of ${name} equals its source`,
            async () => expect(await rows(sink.pool)).toEqual(await rows(source.pool)),
            60_000,
          ),
      };
    },
    startAgent(workerId, config = {}, directory = mkdtempSync(join(tmpdir(), "holdfast-worker-")), program = PROGRAM) {
      directories.add(directory);
      const tokenFile = join(directory, "token");
      writeFileSync(tokenFile, operator.deploymentToken, { mode: 0o600 });
      const file = join(directory, "config.json");
      const settings = {
        controlPlaneUrl: cable.url,
        deploymentTokenFile: tokenFile,
        workerId,
        stateDirectory: join(directory, "state"),
        daemon: { version: "0.1.0", command: [process.execPath, DAEMON] },
        drain: { mode: "handoff", deadlineSeconds: 60 },
        ...config,
      };
      writeFileSync(file, JSON.stringify(settings));
      const agent = launch(file, directory, program);
      agents.push(agent);
      return agent;
    },
  };
}

function launch(file: string, directory: string, program: string): RunningAgent {
  const child = spawn(process.execPath, [program, "local", "--config", file], {
    env: { PATH: process.env["PATH"] },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (l) => lines.push(l));
  return {
    process: child,
    directory,
    lines,
    ended: new Promise((done) => child.once("exit", (status, signal) => done(status ?? signal ?? 1))),
    daemons: async () => {
      const all = recordedDaemons(join(directory, "state", "jobs"));
      return all
        .filter(({ pid, start }) => startOf(pid) === start)
        .map(({ pid, record: { jobId, fence } }) => ({ jobId, fence, pid }));
    },
  };
}

/** Daemons of a worker whose agent is gone, with their leashes. */
async function endDaemons(directory: string): Promise<void> {
  const alive = () =>
    recordedDaemons(join(directory, "state", "jobs")).filter(({ pid, start }) => startOf(pid) === start);
  await eventually("daemons are gone", async () => {
    for (const { pid } of alive()) process.kill(-pid, "SIGKILL");
    expect(alive()).toEqual([]);
  });
  rmSync(directory, { recursive: true });
}

/** A slot that is left keeps the server from ending fast, and the log from being recycled. */
async function dropSlots({ cluster }: TestPostgres): Promise<void> {
  const admin = openDatabase(cluster.url, 1);
  await eventually("slots are dropped", async () => {
    await admin.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
  });
  await admin.end();
}
