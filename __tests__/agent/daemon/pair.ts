import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "pg";
import { databaseUrl } from "../../../control-plane/store/private-cluster";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { eventually } from "./eventually";

/** A server whose log can be decoded. */
const SETTINGS = {
  wal_level: "logical",
  max_wal_senders: "20",
  max_replication_slots: "20",
  max_prepared_transactions: "5",
};
const PROGRAM = resolve("dist/daemon.mjs");

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** A daemon as a process of its own. */
export interface RunningDaemon {
  readonly process: ChildProcess;
  /** Every line of both streams so far. */
  readonly lines: readonly string[];
  /** Exit status, or the signal's name. */
  readonly ended: Promise<number | NodeJS.Signals>;
  get(path: string): Promise<Answer>;
  post(path: string, body?: string): Promise<Answer>;
  /** Resolves when the daemon says so on its health endpoint. */
  reaches(stage: "snapshot" | "cdc"): Promise<void>;
}

/** Two databases, and daemons from one to the other. */
export interface Pair {
  readonly source: Client;
  readonly sink: Client;
  readonly slotName: string;
  readonly environment: Readonly<Record<string, string>>;
  start(environment?: Readonly<Record<string, string>>): Promise<RunningDaemon>;
  /** Starts a daemon that need not come up. */
  launch(environment?: Readonly<Record<string, string>>): RunningDaemon;
  rows(side: "source" | "sink", table: string): Promise<string[]>;
  /** Resolves when the tables hold the same rows on both sides. */
  equal(...tables: string[]): Promise<void>;
}

/** Gives each test of the file a pair of its own on one server. */
export function usePair(): Pair {
  jest.setTimeout(120_000);
  let server: TestPostgres;
  let directory: string;
  let number = 0;
  let source: Client;
  let sink: Client;
  let environment: Record<string, string> = {};
  const daemons: RunningDaemon[] = [];

  const url = (database: string) => databaseUrl(server.cluster.url, database);
  beforeAll(async () => {
    server = await startTestPostgres(SETTINGS);
    directory = mkdtempSync(join(tmpdir(), "holdfast-daemon-"));
  });
  beforeEach(async () => {
    number += 1;
    const admin = await open(server.cluster.url);
    for (const name of ["source", "sink"]) await admin.query(`create database ${name}_${number}`);
    await admin.end();
    source = await open(url(`source_${number}`));
    sink = await open(url(`sink_${number}`));
    environment = {
      SOURCE_URL: url(`source_${number}`),
      SOURCE_SLOT_NAME: `slot_${number}`,
      SOURCE_PUBLICATION_NAME: "copy",
      TABLES: "item",
      SINK_TYPE: "postgres",
      SINK_URL: url(`sink_${number}`),
      SINK_DATABASE: `sink_${number}`,
      FLUSH_INTERVAL_MS: "20",
      DBMAZZ_CONTROL_PORT: "0",
    };
  });
  afterEach(async () => {
    for (const { process } of daemons) process.kill("SIGKILL");
    await Promise.all(daemons.splice(0).map(({ ended }) => ended));
    await Promise.all([source.end(), sink.end()]);
    // A slot that is left keeps the server from ending fast, and the log from being recycled.
    const admin = await open(server.cluster.url);
    await eventually("slots are dropped", async () => {
      await admin.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
    });
    await admin.end();
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  const launch = (extra: Readonly<Record<string, string>> = {}) => {
    const daemon = launchDaemon(directory, { ...environment, ...extra });
    daemons.push(daemon);
    return daemon;
  };
  const rows = async (side: "source" | "sink", table: string) => {
    const { rows } = await (side === "source" ? source : sink).query<{ row: string }>(
      `select t::text as row from ${table} t order by 1`,
    );
    return rows.map(({ row }) => row);
  };
  return {
    get source() {
      return source;
    },
    get sink() {
      return sink;
    },
    get slotName() {
      return environment["SOURCE_SLOT_NAME"] ?? "";
    },
    get environment() {
      return environment;
    },
    launch,
    start: async (extra) => {
      const daemon = launch(extra);
      await daemon.reaches("cdc");
      return daemon;
    },
    rows,
    equal: (...tables) =>
      eventually(`the sink equals the source in ${tables.join(", ")}`, async () => {
        for (const table of tables) expect(await rows("sink", table)).toEqual(await rows("source", table));
      }),
  };
}

async function open(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  return client;
}

function launchDaemon(cwd: string, environment: Readonly<Record<string, string>>): RunningDaemon {
  const child = spawn(process.execPath, [PROGRAM], {
    cwd,
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let port: number | undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    if (line.includes("control API listens")) port = JSON.parse(line).port;
  });
  createInterface({ input: child.stderr }).on("line", (line) => lines.push(line));
  const ended = new Promise<number | NodeJS.Signals>((done) => {
    child.once("close", (status, signal) => done(status ?? signal ?? -1));
  });
  const call = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, init ?? {});
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return { status: response.status, text, json: isJson ? JSON.parse(text) : {} };
  };
  const get = (path: string) => call(path);
  return {
    process: child,
    lines,
    ended,
    get,
    post: (path, body) =>
      call(path, {
        method: "POST",
        ...(body === undefined ? {} : { body, headers: { "content-type": "application/json" } }),
      }),
    reaches: async (stage) => {
      await eventually(`stage ${stage}\n${lines.join("\n")}`, async () => {
        if (child.exitCode !== null) return;
        expect((await get("/health")).json).toMatchObject({ status: "serving", stage });
      });
      if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}:\n${lines.join("\n")}`);
    },
  };
}
