import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();
const COPY = { DO_SNAPSHOT: "true" };

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** A standby of the pair's server, and what ends it. */
async function startStandby(): Promise<{ url: string; stop(): Promise<void> }> {
  const { rows } = await pair.source.query("show data_directory");
  const { uid, gid } = statSync(rows[0].data_directory);
  const directory = mkdtempSync(join(tmpdir(), "holdfast-standby-"));
  const url = new URL(pair.environment["SOURCE_URL"] ?? "");
  execFileSync("pg_basebackup", ["-d", url.href, "-D", join(directory, "data"), "-R", "-c", "fast"]);
  for (const path of [
    directory,
    ...readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name)),
  ]) {
    chownSync(path, uid, gid);
  }
  chmodSync(directory, 0o755);
  url.port = `${await freePort()}`;
  const settings = [
    ...["max_connections=60", "max_wal_senders=20", "max_prepared_transactions=5", "wal_level=logical"],
    ...["listen_addresses=127.0.0.1", "unix_socket_directories=", `port=${url.port}`],
  ];
  const server: ChildProcess = spawn(
    "postgres",
    ["-D", join(directory, "data"), ...settings.flatMap((setting) => ["-c", setting])],
    { uid, gid, cwd: directory, stdio: "ignore" },
  );
  const ended = new Promise((done) => server.once("close", done));
  await eventually("the standby answers", async () => {
    const client = new Client({ connectionString: url.href });
    client.on("error", () => {});
    try {
      await client.connect();
      expect((await client.query("select pg_is_in_recovery() as standby")).rows).toEqual([{ standby: true }]);
    } finally {
      await client.end();
    }
  });
  return {
    url: url.href,
    stop: async () => {
      server.kill("SIGINT");
      await ended;
      rmSync(directory, { recursive: true });
    },
  };
}

test("a source whose name leads to a standby for a while is waited for, and not taken for a hole", async () => {
  await pair.source.query("create table item (id int primary key); insert into item values (1)");
  const first = await pair.start(COPY);
  first.process.kill("SIGTERM");
  await first.ended;
  const standby = await startStandby();
  try {
    const daemon = pair.launch({ ...COPY, SOURCE_URL: standby.url });

    const said = await eventually("the daemon looks again, or ends", async () => {
      const line = daemon.lines.find((text) => /connecting again|cannot go on/.test(text));
      expect(line).toBeDefined();
      return line;
    });
    expect(said).toContain("the source is a standby");
    expect(said).toContain("connecting again");
    daemon.process.kill("SIGTERM");
    expect(await daemon.ended).toBe(0);
  } finally {
    await standby.stop();
  }
});
