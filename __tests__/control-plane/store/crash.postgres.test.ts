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
