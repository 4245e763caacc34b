import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../../control-plane/store/database";
import { saveCheckpoint } from "../../../control-plane/store/holder";
import { migrate } from "../../../control-plane/store/migrate";
import { startPrivateCluster } from "../../../control-plane/store/private-cluster";
import { eventually } from "../../support/eventually";
import { longForm } from "../../support/long-form";
import { TestFleet } from "./fleet";

const KILLS = longForm(2, 200);
const COMMITS = 50;
const ACKED_BETWEEN_KILLS = 25;

/** The server and every process of it, at once, as when the machine's memory runs out. */
async function killServer(directory: string): Promise<void> {
  const [pid = ""] = readFileSync(join(directory, "data", "postmaster.pid"), "utf8").split("\n");
  const family = spawnSync("ps", ["-o", "pid=", "--ppid", pid], { encoding: "utf8" }).stdout.split("\n");
  const all = [pid, ...family].map(Number).filter((one) => one > 0);
  // Those whose postmaster has gone end by themselves, too.
  spawnSync("kill", ["-KILL", ...all.map(String)]);
  await eventually(async () => (all.some(isAlive) ? undefined : true));
}

/** One that nobody has reaped is gone all the same. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", `${pid}`], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}

it(`control-plane 10, 23: no checkpoint that was acknowledged is lost when the server is killed, ${KILLS} times, while it is written to`, async () => {
  const parent = mkdtempSync(join(tmpdir(), "holdfast-crash-"));
  chmodSync(parent, 0o755);
  const directory = join(parent, "cluster");
  let cluster = await startPrivateCluster({ directory });
  let pool = openDatabase(cluster.url, 4);
  await migrate(pool);
  const fleet = await TestFleet.create(pool);
  const jobId = await fleet.job("orders");
  const sessionId = await fleet.worker("w");
  const ref = await fleet.run(sessionId);
  let acked = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    // GIVEN a writer that goes on until the server is gone
    const goal = acked + ACKED_BETWEEN_KILLS;
    const writing = (async () => {
      for (let seq = acked + 1; ; seq++) {
        const checkpoint = { seq, phase: "streaming", position: `0/${seq}` } as const;
        const saved = await saveCheckpoint(pool, sessionId, ref, checkpoint).catch(() => undefined);
        if (saved === undefined) return;
        acked = Number(saved);
      }
    })();
    await eventually(async () => (acked >= goal ? true : undefined));

    await killServer(directory);
    await writing;
    await pool.end();
    await cluster.ended;

    cluster = await startPrivateCluster({ directory });
    pool = openDatabase(cluster.url, 4);
    const { rows } = await pool.query("select checkpoint_seq as seq, state, fence from jobs where id = $1", [jobId]);
    expect(rows[0]).toMatchObject({ state: "running", fence: ref.fence });
    expect(rows[0].seq).toBeGreaterThanOrEqual(acked);
    acked = rows[0].seq;
  }
  await pool.end();
  await cluster.stop();
  rmSync(parent, { recursive: true });
}, 1_200_000);

it("control-plane 23: every answer waits for its commit to be on the disk", async () => {
  const parent = mkdtempSync(join(tmpdir(), "holdfast-sync-"));
  chmodSync(parent, 0o755);
  const cluster = await startPrivateCluster({ directory: join(parent, "cluster") });
  const pool = openDatabase(cluster.url, 4);
  await migrate(pool);
  const fleet = await TestFleet.create(pool);
  await fleet.job("orders");
  const sessionId = await fleet.worker("w");
  const ref = await fleet.run(sessionId);
  const { rows: settings } = await pool.query(
    "select name, setting from pg_settings where name in ('fsync', 'synchronous_commit')",
  );
  expect(settings.map(({ name, setting }) => `${name} ${setting}`).sort()).toEqual([
    "fsync on",
    "synchronous_commit on",
  ]);
  // Where PostgreSQL counts them: https://www.postgresql.org/docs/18/release-18.html
  const isInIo = Number((await pool.query("show server_version_num")).rows[0].server_version_num) >= 180_000;
  const count = isInIo
    ? "select sum(fsyncs)::bigint as syncs from pg_stat_io where object = 'wal'"
    : "select wal_sync as syncs from pg_stat_wal";
  const syncs = async (): Promise<number> => (await pool.query(count)).rows[0].syncs;

  const before = await syncs();
  for (let seq = 1; seq <= COMMITS; seq++) {
    await saveCheckpoint(pool, sessionId, ref, { seq, phase: "streaming", position: `0/${seq}` });
  }
  // Each of PostgreSQL's processes tells its count with some delay.
  await eventually(async () => ((await syncs()) - before >= COMMITS ? true : undefined));

  await pool.end();
  await cluster.stop();
  rmSync(parent, { recursive: true });
}, 600_000);
