/** https://worker.graphile.org */
import { setTimeout as pause } from "node:timers/promises";
import { Logger, makeWorkerUtils, run, runOnce } from "graphile-worker";
import pg from "pg";
import { oneAfterTheOther } from "./one-after-the-other.mjs";

/** As its own measurements have it. */
const BATCHES = { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } };
const PATIENCE_MS = 60_000;

export async function open(connectionString, clients) {
  const pgPool = new pg.Pool({ connectionString, max: clients + 4 });
  pgPool.on("error", fail);
  pgPool.on("connect", (client) => client.on("error", fail));
  const props = { pgPool, logger: new Logger(() => () => {}), noHandleSignals: true };
  const utils = await makeWorkerUtils(props);
  await utils.migrate();

  const drain = async (jobs, preset = {}) => {
    await pgPool.query("select graphile_worker.add_job('noop', '{}') from generate_series(1, $1)", [jobs]);
    // What autovacuum finds in time where it is not emptied so often: else a drain may run with the plans of an empty table.
    await pgPool.query("analyze graphile_worker._private_jobs");
    const startedAt = performance.now();
    await runOnce({ ...props, preset, concurrency: clients, taskList: { noop: async () => {} } });
    // It does not wait for what it has sent at last.
    await allGone(pgPool);
    return performance.now() - startedAt;
  };
  return {
    drain: (jobs) => drain(jobs),
    drainInBatches: (jobs) => drain(jobs, BATCHES),
    latencies: async (jobs) => {
      let begun;
      const runner = await run({ ...props, concurrency: 1, taskList: { tick: async () => begun() } });
      const tookMs = await oneAfterTheOther(jobs, (started) => {
        begun = started;
        return utils.addJob("tick", {});
      });
      await runner.stop();
      return tookMs;
    },
    /** A worker ends a job that was taken from it and given to another, which still runs it. */
    completeStale: async () => {
      const runs = [];
      const begun = [Promise.withResolvers(), Promise.withResolvers()];
      const task = (_, { job }) => new Promise((end) => begun[runs.push({ holder: job.locked_by, end }) - 1].resolve());
      const worker = () => run({ ...props, concurrency: 1, pollInterval: 100, taskList: { task } });
      const first = await worker();
      await utils.addJob("task", {});
      await begun[0].promise;
      await utils.forceUnlockWorkers([runs[0].holder]);
      const second = await worker();
      await begun[1].promise;
      const before = await holders(pgPool);
      runs[0].end();
      await allGone(pgPool);
      const after = await holders(pgPool);
      runs[1].end();
      await Promise.all([first.stop(), second.stop()]);
      return { lost: runs[0].holder, held: runs[1].holder, before, after };
    },
    stop: async () => {
      await utils.release();
      await pgPool.end();
    },
  };
}

function fail(error) {
  throw error;
}

/** Of each job that there is, the worker that holds it. */
async function holders(pool) {
  const { rows } = await pool.query("select locked_by from graphile_worker.jobs");
  return rows.map(({ locked_by }) => locked_by);
}

async function allGone(pool) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { rowCount } = await pool.query("select from graphile_worker._private_jobs limit 1");
    if (rowCount === 0) return;
    if (performance.now() > deadline) throw new Error(`jobs are left after ${PATIENCE_MS / 1_000} s`);
    await pause(5);
  }
}
