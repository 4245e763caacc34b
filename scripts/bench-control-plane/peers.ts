import { Logger, makeWorkerUtils, run, runOnce } from "graphile-worker";
import { Pool } from "pg";
import PgBoss from "pg-boss";

/** What a queue of another project does in the same run, on the same PostgreSQL, at its own default settings. */
export interface Peer {
  readonly name: string;
  /** Puts jobs in, and gives how long so many clients need to take and complete each of them, in ms. */
  drain(jobs: number, clients: number): Promise<number>;
  /** How long it takes from a job's creation to the start of its task, one after the other, in ms. */
  latencies(jobs: number): Promise<number[]>;
  stop(): Promise<void>;
}

const SILENT = new Logger(() => () => {});

/** https://worker.graphile.org */
export async function graphileWorker(url: string, clients: number): Promise<Peer> {
  const pgPool = new Pool({ connectionString: url, max: clients + 4 });
  pgPool.on("error", () => undefined);
  const utils = await makeWorkerUtils({ pgPool, logger: SILENT });
  await utils.migrate();
  return {
    name: "graphile-worker 0.16.6",
    async drain(jobs) {
      await pgPool.query("select graphile_worker.add_job('noop', '{}') from generate_series(1, $1)", [jobs]);
      const startedAt = performance.now();
      await runOnce({ pgPool, concurrency: clients, logger: SILENT, taskList: { noop: async () => {} } });
      return performance.now() - startedAt;
    },
    async latencies(jobs) {
      let started: () => void = () => {};
      const taskList = { tick: async () => started() };
      const runner = await run({ pgPool, concurrency: 1, logger: SILENT, noHandleSignals: true, taskList });
      const measured = await oneAfterTheOther(jobs, async () => {
        const begun = new Promise<void>((resolve) => {
          started = resolve;
        });
        const at = performance.now();
        await utils.addJob("tick", {});
        await begun;
        return performance.now() - at;
      });
      await runner.stop();
      return measured;
    },
    async stop() {
      await utils.release();
      await pgPool.end();
    },
  };
}

/** https://github.com/timgit/pg-boss */
export async function pgBoss(url: string, clients: number): Promise<Peer> {
  const boss = new PgBoss({ connectionString: url, max: clients, supervise: false, schedule: false });
  boss.on("error", () => undefined);
  await boss.start();
  await boss.createQueue("noop");
  await boss.createQueue("tick");
  return {
    name: "pg-boss 10.4.2",
    async drain(jobs) {
      await boss.insert(Array.from({ length: jobs }, () => ({ name: "noop" })));
      const startedAt = performance.now();
      await Promise.all(
        Array.from({ length: clients }, async () => {
          for (;;) {
            const [job] = await boss.fetch("noop");
            if (!job) return;
            await boss.complete("noop", job.id);
          }
        }),
      );
      return performance.now() - startedAt;
    },
    async latencies(jobs) {
      let started: () => void = () => {};
      // Half a second is the shortest interval that it polls at.
      await boss.work("tick", { pollingIntervalSeconds: 0.5 }, async () => started());
      const measured = await oneAfterTheOther(jobs, async () => {
        const begun = new Promise<void>((resolve) => {
          started = resolve;
        });
        const at = performance.now();
        await boss.send("tick", {});
        await begun;
        return performance.now() - at;
      });
      await boss.offWork("tick");
      return measured;
    },
    stop: () => boss.stop({ graceful: false }),
  };
}

async function oneAfterTheOther(times: number, measure: () => Promise<number>): Promise<number[]> {
  const measured: number[] = [];
  for (let index = 0; index < times; index++) measured.push(await measure());
  return measured;
}
