import { acknowledgeGap } from "../../../control-plane/store/gaps";
import { saveCheckpoint } from "../../../control-plane/store/holder";
import type { Ref } from "../../../control-plane/store/sessions";
import { surveyJobs } from "../../../control-plane/store/survey";
import { type TestFleet, useFleets } from "./fleet";

const fleets = useFleets();

interface Running {
  readonly fleet: TestFleet;
  readonly ref: Ref;
  /** Saves a checkpoint of the job's holder. */
  readonly save: (seq: number, gapAfter?: string) => Promise<unknown>;
  readonly acknowledge: (gapAfter: string, deploymentId?: string) => ReturnType<typeof acknowledgeGap>;
  /** What the status page says of the job. */
  readonly shown: () => Promise<readonly [level: string | undefined, gapAfter: string | null | undefined]>;
}

async function runningJob(): Promise<Running> {
  const fleet = await fleets.freshFleet();
  const { pool } = fleet;
  const sessionId = await fleet.worker("w1");
  await fleet.job("orders");
  const ref = await fleet.run(sessionId);
  return {
    fleet,
    ref,
    save: (seq, gapAfter) =>
      saveCheckpoint(pool, sessionId, ref, { seq, phase: "streaming", position: `0/${seq}` }, gapAfter),
    acknowledge: (gapAfter, deploymentId = fleet.deploymentId) =>
      acknowledgeGap(pool, { deploymentId, jobId: ref.jobId, gapAfter }, "operator:o"),
    shown: async () => {
      const [job] = (await surveyJobs(pool, fleet.deploymentId)).shown;
      return [job?.level, job?.gapAfter];
    },
  };
}

const entries = async ({ pool }: TestFleet) =>
  (await pool.query("select actor, subject, detail from audit_log where action = 'job.gap_acknowledged' order by seq"))
    .rows;

// An empty position is one that nobody knows.
it.each(["0/5", ""])(
  "shows a job as it is otherwise once its gap after %j is acknowledged, and tells it once",
  async (gap) => {
    const { fleet, ref, save, acknowledge, shown } = await runningJob();
    await save(1, gap);
    expect(await shown()).toEqual(["bad", gap]);

    expect(await acknowledge(gap)).toBe("acknowledged");
    expect(await shown()).toEqual(["good", null]);
    expect(await acknowledge(gap)).toBe("acknowledged");
    expect(await entries(fleet)).toEqual([{ actor: "operator:o", subject: ref.jobId, detail: { gapAfter: gap } }]);
  },
);

it("keeps a gap that was told since, and names it", async () => {
  const { fleet, save, acknowledge, shown } = await runningJob();
  await save(1, "0/5");
  await save(2, "");

  expect(await acknowledge("0/5")).toEqual({ toldSince: "" });
  expect(await shown()).toEqual(["bad", ""]);
  await save(3, "0/9");
  expect(await acknowledge("")).toEqual({ toldSince: "0/9" });
  expect(await shown()).toEqual(["bad", "0/9"]);
  expect(await entries(fleet)).toEqual([]);
});

it("hears of a gap once, however often its worker tells it, and of one that comes later at the same position", async () => {
  const { save, acknowledge, shown } = await runningJob();
  await save(1, "0/5");
  await acknowledge("0/5");
  await save(2);

  // Its answer was lost, or the agent began anew beside its daemon.
  await save(1, "0/5");
  expect(await shown()).toEqual(["good", null]);
  await save(3, "0/5");
  expect(await shown()).toEqual(["bad", "0/5"]);
});

it("knows no job that is deleted or another deployment's", async () => {
  const { fleet, ref, save, acknowledge } = await runningJob();
  const { pool } = fleet;
  await save(1, "0/5");
  expect(await acknowledge("0/5", "00000000-0000-0000-0000-000000000000")).toBe("not_found");
  await pool.query("update jobs set state = 'deleted', session_id = null where id = $1", [ref.jobId]);
  expect(await acknowledge("0/5")).toBe("not_found");
  expect((await pool.query("select gap_after from jobs")).rows).toEqual([{ gap_after: "0/5" }]);
  expect(await entries(fleet)).toEqual([]);
});
