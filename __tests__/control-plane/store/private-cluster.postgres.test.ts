import { spawn } from "node:child_process";
import { once } from "node:events";
import fs, { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { delimiter, dirname, join, relative, resolve } from "node:path";
import { Client } from "pg";
import { freePort } from "../../../control-plane/store/free-port";
import { findPostgres } from "../../../control-plane/store/postgres-programs";
import { startPrivateCluster } from "../../../control-plane/store/private-cluster";
import { eventually } from "../../support/eventually";
import { contentsOf, useScratch } from "../../support/scratch";

const REPOSITORY = resolve(__dirname, "..", "..", "..");
const START = 'require("./control-plane/store/private-cluster").startPrivateCluster({ directory: process.argv[1] })';

jest.mock("../../../control-plane/store/free-port", () => ({
  freePort: jest.fn(jest.requireActual("../../../control-plane/store/free-port").freePort),
}));

const scratch = useScratch();
const { PATH = "" } = process.env;
beforeEach(() => chmodSync(scratch.path, 0o711));
afterEach(() => {
  process.env.PATH = PATH;
});

/** A PATH on which initdb is a shell script, which gets the directory as its second argument. */
function pathWithInitdb(script: string): string {
  for (const [name, text] of Object.entries({ initdb: script, postgres: "exit 1" })) {
    chmodSync(scratch.write(join("bin", name), `#!/bin/sh\n${text}\n`), 0o755);
  }
  chmodSync(join(scratch.path, "bin"), 0o755);
  return [join(scratch.path, "bin"), dirname(findPostgres()?.postgres ?? ""), PATH].join(delimiter);
}

test("initdb leads a group of its own, which a terminal's Ctrl-C does not reach, and its failure says what it said", async () => {
  process.env.PATH = pathWithInitdb('echo "initdb $$ is of group $(ps -o pgid= -p $$)" >&2; exit 1');
  const directory = join(scratch.path, "cluster");

  await expect(startPrivateCluster({ directory })).rejects.toThrow(
    /^initdb made no PostgreSQL cluster in .*cluster: initdb (\d+) is of group +\1$/,
  );
});

test("a server whose log cannot be written, as on a full disk, goes on", async () => {
  const cluster = await startPrivateCluster({ directory: join(scratch.path, "cluster") });
  try {
    // A folder in the log's place is no file to add to.
    const log = join(scratch.path, "cluster", "postgres.log");
    rmSync(log, { force: true });
    mkdirSync(log);
    const written = jest.spyOn(fs, "writeFileSync");
    await expect(within(cluster.url, "select 1 / 0")).rejects.toThrow("division by zero");
    await eventually(async () => (written.mock.calls.some(([file]) => file === log) ? true : undefined));

    expect(await within(cluster.url, "select 1 as one")).toMatchObject({ rows: [{ one: 1 }] });
  } finally {
    await cluster.stop();
  }
}, 60_000);

test("what is killed while initdb works leaves nothing that the next start takes for a cluster", async () => {
  // GIVEN an initdb that has written its version first, and is at work until its directory has gone
  const directory = join(scratch.path, "cluster");
  const made = 'echo 1 > "$2/PG_VERSION"; while [ -e "$2/PG_VERSION" ]; do sleep 0.1; done';
  const starting = spawn(process.execPath, ["--require", "tsx/cjs", "--eval", START, directory], {
    cwd: REPOSITORY,
    env: { ...process.env, PATH: pathWithInitdb(`mkdir -p "$2"; ${made}`) },
    stdio: "ignore",
  });
  const ended = once(starting, "exit");
  await eventually(async () => (clustersIn(directory).length > 0 ? true : undefined));

  // WHEN the process that waits for it is killed
  starting.kill("SIGKILL");
  await ended;

  // THEN the next start makes a cluster of its own, and removes what was left
  const cluster = await startPrivateCluster({ directory });
  await cluster.stop();
  expect(clustersIn(directory)).toEqual(["data"]);
});

test("a directory that holds something else than a cluster is left alone", async () => {
  const directory = join(scratch.path, "cluster");
  scratch.write(join("cluster", "data", "notes"), "mine");

  await expect(startPrivateCluster({ directory })).rejects.toThrow(
    `${join(directory, "data")} is not empty and holds no PostgreSQL cluster: remove it, or choose another directory`,
  );
});

const unfinished = (data: string): string =>
  `initdb was ended before it had finished the PostgreSQL cluster in ${data}, and nothing was ever stored there: ` +
  `move it away, with mv '${data}' '${data}.unfinished', and start again`;

test("what an initdb that was killed has left in the cluster's place is told apart from a cluster, and left alone", async () => {
  const directory = join(scratch.path, "cluster");
  const data = join(directory, "data");
  for (const name of ["PG_VERSION", "postgresql.conf", "global/pg_control", "base/1/PG_VERSION", "base/4/PG_VERSION"]) {
    scratch.write(join("cluster", "data", name), "15\n");
  }
  scratch.write(join("cluster", "password"), "kept");
  const left = contentsOf(directory);

  await expect(startPrivateCluster({ directory })).rejects.toThrow(unfinished(data));

  expect(contentsOf(directory)).toEqual(left);
});

test("a cluster that has never run is finished when its databases are there, and one that has run is not called unfinished for what it lost", async () => {
  const directory = join(scratch.path, "cluster");
  const data = join(directory, "data");
  const restart = async () => await (await startPrivateCluster({ directory })).stop();
  const lose = (name: string) => rmSync(join(data, name));
  await restart();

  lose("postmaster.opts");
  await restart();

  lose("global/pg_control");
  await expect(startPrivateCluster({ directory })).rejects.toThrow(/^PostgreSQL did not start/);
  lose("postmaster.opts");
  await expect(startPrivateCluster({ directory })).rejects.toThrow(unfinished(data));
});

test("one that is abandoned ends without a checkpoint, whoever is connected, and the next start recovers", async () => {
  const directory = join(scratch.path, "cluster");
  const abandoned = new AbortController();
  const cluster = await startPrivateCluster({ directory, abandoned: abandoned.signal });
  const client = new Client({ connectionString: cluster.url });
  client.on("error", () => undefined);
  await client.connect();
  await client.query("create table kept (); insert into kept default values");

  abandoned.abort();
  await cluster.ended;

  const next = await startPrivateCluster({ directory });
  const { rows } = await within(next.url, "select count(*)::int as kept from kept");
  await next.stop();
  expect(rows).toEqual([{ kept: 1 }]);
  const log = readFileSync(join(directory, "postgres.log"), "utf8");
  expect(log).toContain("received immediate shutdown request");
  expect(log).toContain("automatic recovery in progress");
});

test("one that is abandoned while it is made ends its initdb, which cleans up", async () => {
  const directory = join(scratch.path, "cluster");
  const atWork = 'trap \'rm -r "$2"; exit 1\' TERM; echo 1 > "$2/PG_VERSION"; while :; do sleep 0.1; done';
  process.env.PATH = pathWithInitdb(atWork);
  const abandoned = new AbortController();
  const starting = startPrivateCluster({ directory, abandoned: abandoned.signal });
  const refused = expect(starting).rejects.toThrow("aborted");
  await eventually(async () => (clustersIn(directory).length > 0 ? true : undefined));

  abandoned.abort();

  await refused;
  await eventually(async () => (clustersIn(directory).length === 0 ? true : undefined));
});

async function within(connectionString: string, sql: string) {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Directories right below this one that look like a cluster's, or like one that is being made. */
function clustersIn(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).filter((name) => existsSync(join(directory, name, "PG_VERSION")));
}

test("a folder that is named from the working directory is found there, a new one and one that holds a cluster", async () => {
  const directory = join(scratch.path, "cluster");
  const named = relative(process.cwd(), directory);

  for (const start of ["new", "again"]) {
    const cluster = await startPrivateCluster({ directory: named });
    expect([start, (await within(cluster.url, "show data_directory")).rows]).toEqual([
      start,
      [{ data_directory: join(directory, "data") }],
    ]);
    await cluster.stop();
  }
});

test("a port that another program takes first is left for a free one", async () => {
  const taken = await takenPort();
  jest.mocked(freePort).mockResolvedValueOnce(taken.port);

  const cluster = await startPrivateCluster({ directory: join(scratch.path, "cluster") });

  expect(new URL(cluster.url).port).not.toBe(`${taken.port}`);
  await cluster.stop();
  await taken.free();
});

test("a port that was asked for is not changed for another, and the error says that it is taken", async () => {
  const { port, free } = await takenPort();

  await expect(startPrivateCluster({ directory: join(scratch.path, "cluster"), port })).rejects.toThrow(
    `PostgreSQL did not start in ${join(scratch.path, "cluster")}: port ${port} of 127.0.0.1 is taken by another program`,
  );
  await free();
});

/** A port of a program that answers nothing to whoever connects. */
async function takenPort() {
  const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    free: async () => {
      server.close();
      await once(server, "close");
    },
  };
}
