import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createDeployment } from "../../control-plane/store/catalog";
import { openDatabase } from "../../control-plane/store/database";
import { migrate } from "../../control-plane/store/migrate";
import { startPrivateCluster } from "../../control-plane/store/private-cluster";
import { startTestPostgres, type TestPostgres } from "../support/postgres";
import { useScratch } from "../support/scratch";

const scratch = useScratch();

let target: TestPostgres;
beforeAll(async () => {
  target = await startTestPostgres();
}, 120_000);
afterAll(() => target.stop(), 60_000);

/** A stopped server as a local fleet leaves it: a store, and the slot of a job. */
async function stoppedFleet(): Promise<string> {
  chmodSync(scratch.path, 0o711);
  const directory = join(scratch.path, "postgres");
  const server = await startPrivateCluster({ directory, settings: { wal_level: "logical" } });
  const pool = openDatabase(server.url);
  await migrate(pool);
  await createDeployment(pool, "shop", "test");
  await pool.query("select pg_create_logical_replication_slot('orders', 'pgoutput')");
  await pool.end();
  await server.stop();
  return directory;
}

function copyStore(cluster: string, into: string) {
  return spawn(process.execPath, ["--import", "tsx", "control-plane/copy-store.ts", "--cluster", cluster], {
    env: { PATH: process.env["PATH"], HOLDFAST_TARGET_DATABASE_URL: into },
    stdio: ["ignore", "ignore", "pipe"],
  });
}

test("the store of a local fleet is copied, whose jobs have slots in the same server", async () => {
  const cluster = await stoppedFleet();
  const { pool, url } = await target.freshDatabase({ migrated: false });

  const copy = copyStore(cluster, url);
  const [said, [status]] = await Promise.all([text(copy.stderr), once(copy, "close")]);

  expect([status, said]).toEqual([0, ""]);
  expect((await pool.query("select name from deployments")).rows).toEqual([{ name: "shop" }]);
}, 120_000);

test("an interrupted copy ends the server it has started, also while the target says nothing", async () => {
  const cluster = await stoppedFleet();
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  const copy = copyStore(cluster, `postgres://me@127.0.0.1:${port}/x`);
  const ended = once(copy, "close");
  const [connection] = await once(silent, "connection");

  copy.kill("SIGINT");

  expect(await ended).toEqual([130, null]);
  connection.destroy();
  silent.close();
  // Refused while a server runs there.
  const again = await startPrivateCluster({ directory: cluster, settings: { wal_level: "logical" } });
  await again.stop();
  expect(existsSync(join(cluster, "data", "postmaster.pid"))).toBe(false);
}, 120_000);
