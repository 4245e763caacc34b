/** https://github.com/timgit/pg-boss */
import { PgBoss } from "pg-boss";
import { oneAfterTheOther } from "./one-after-the-other.mjs";

const BATCH_CLIENTS = 4;
const BATCH = 500;

export async function open(connectionString, clients) {
  const boss = new PgBoss({ connectionString, max: clients, supervise: false, schedule: false, useListenNotify: true });
  await boss.start();
  await boss.createQueue("noop");
  // Polls are half a second apart or more.
  await boss.createQueue("tick", { notify: true });
  await boss.createQueue("task");

  const drain = async (jobs, loops, batchSize) => {
    await boss.insert(
      "noop",
      Array.from({ length: jobs }, () => ({})),
    );
    await boss.getDb().executeSql("analyze pgboss.job");
    const startedAt = performance.now();
    const takeAll = async () => {
      for (;;) {
        const taken = await boss.fetch("noop", { batchSize });
        if (taken.length === 0) return;
        // As its own workers do: with the attempt, so that one which was lost changes nothing.
        await boss.complete("noop", taken);
      }
    };
    await Promise.all(Array.from({ length: loops }, takeAll));
    return performance.now() - startedAt;
  };
  return {
    drain: (jobs) => drain(jobs, clients, 1),
    drainInBatches: (jobs) => drain(jobs, BATCH_CLIENTS, BATCH),
    latencies: async (jobs) => {
      let begun;
      await boss.work("tick", async () => begun());
      const tookMs = await oneAfterTheOther(jobs, (started) => {
        begun = started;
        return boss.send("tick", {});
      });
      await boss.offWork("tick");
      return tookMs;
    },
    /** A worker ends a job that was taken from it and given to another, which still runs it: by its attempt, and by its id. */
    completeStale: async () => {
      await boss.send("task", {}, { retryLimit: 2 });
      const [lost] = await boss.fetch("task");
      // As its own maintenance does with a job whose time is over.
      await boss
        .getDb()
        .executeSql("update pgboss.job set state = 'retry', start_after = now() where id = $1", [lost.id]);
      const [held] = await boss.fetch("task");
      const stateAfter = async (stale) => {
        await boss.complete("task", stale);
        return (await boss.findJobs("task", { id: held.id })).map(({ state }) => state);
      };
      return { lost: lost.id, held: held.id, byAttempt: await stateAfter(lost), byId: await stateAfter(lost.id) };
    },
    stop: () => boss.stop({ graceful: false }),
  };
}
