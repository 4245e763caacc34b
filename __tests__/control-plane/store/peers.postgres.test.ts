import { Logger, makeWorkerUtils, run } from "graphile-worker";
import PgBoss from "pg-boss";
import { eventually } from "../../support/eventually";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterAll(() => postgres.stop(), 60_000);

const SILENT = new Logger(() => () => {});

/** Why every write here names a fence: queues without one take the end of a job from a worker that has lost it. */
describe("control-plane 4: the end of a job, told by a worker that lost it", () => {
  it("control-plane 4: graphile-worker deletes the job that another worker runs", async () => {
    const { pool: pgPool } = await postgres.freshDatabase({ migrated: false });
    const utils = await makeWorkerUtils({ pgPool, logger: SILENT });
    await utils.migrate();
    const tasks: { workerId: string; end: () => void }[] = [];
    const taskList = {
      task: (_: unknown, { job }: { job: { locked_by: string | null } }) =>
        new Promise<void>((end) => tasks.push({ workerId: job.locked_by ?? "", end })),
    };
    const worker = () =>
      run({ pgPool, concurrency: 1, pollInterval: 100, noHandleSignals: true, logger: SILENT, taskList });
    const running = async (many: number) => eventually(async () => tasks[many - 1]);
    const jobs = async () => (await pgPool.query("select locked_by from graphile_worker.jobs")).rows;

    // GIVEN a job that is taken from its worker, which goes on, and given to another
    const first = await worker();
    await utils.addJob("task", {});
    const lost = await running(1);
    await utils.forceUnlockWorkers([lost.workerId]);
    const second = await worker();
    const held = await running(2);
    expect(await jobs()).toEqual([{ locked_by: held.workerId }]);
    // WHEN the first ends
    lost.end();
    // THEN the job is gone while the second runs it
    await eventually(async () => ((await jobs()).length === 0 ? true : undefined));
    expect(held.workerId).not.toBe(lost.workerId);

    held.end();
    await Promise.all([first.stop(), second.stop()]);
    await utils.release();
  }, 120_000);

  it("control-plane 4: pg-boss marks the job completed that another worker runs", async () => {
    const { pool, url } = await postgres.freshDatabase({ migrated: false });
    const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
    // It goes on to close its connections when it says that it has stopped, and the database may be gone before.
    boss.on("error", () => undefined);
    await boss.start();
    await boss.createQueue("queue");
    await boss.send("queue", {}, { retryLimit: 2 });

    const [lost] = await boss.fetch("queue");
    // As its own maintenance does with a job whose time is over.
    await pool.query("update pgboss.job set state = 'retry', start_after = now() where id = $1", [lost?.id]);
    const [held] = await boss.fetch("queue");
    expect(held?.id).toBe(lost?.id);
    await boss.complete("queue", lost?.id ?? "");

    const { rows } = await pool.query("select state from pgboss.job where id = $1", [held?.id]);
    expect(rows).toEqual([{ state: "completed" }]);
    await boss.stop({ graceful: false });
  }, 120_000);
});
