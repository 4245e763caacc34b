import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { eventually } from "./eventually";

export interface PostgresServer {
  /** Connection string of a database, of the superuser unless another user is named. */
  url(database: string): string;
  stop(): Promise<void>;
}

const SETTINGS = {
  wal_level: "logical",
  fsync: "off",
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_wal_senders: "20",
  max_replication_slots: "20",
  max_connections: "60",
};

/** PostgreSQL refuses to run as root. */
const user =
  process.getuid?.() === 0
    ? { uid: Number(idOf("-u")), gid: Number(idOf("-g")) }
    : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** A server whose log can be decoded; without fsync, since only processes die here, not the machine. */
export async function startPostgresServer(): Promise<PostgresServer> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-daemon-"));
  chownSync(directory, user.uid, user.gid);
  const data = join(directory, "data");
  const options = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"];
  execFileSync("initdb", ["-D", data, ...options], { ...user, cwd: directory, stdio: "pipe" });
  const port = await freePort();
  const flags = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = spawn("postgres", ["-D", data, ...flags], { ...user, cwd: directory, stdio: "ignore" });
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const url = (database: string) => `postgres://postgres:canary-pw@127.0.0.1:${port}/${database}`;
  await eventually("PostgreSQL answers", async () => {
    const client = new Client({ connectionString: url("postgres") });
    await client.connect();
    await client.end();
  });
  return {
    url,
    stop: async () => {
      server.kill("SIGQUIT");
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function idOf(flag: string): string {
  return spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout.trim();
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (!address || typeof address === "string") throw new Error("no free port");
  return address.port;
}
