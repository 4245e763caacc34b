import type { JobEvent } from "../../../control-plane/lease/job";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { statusPage } from "../../../control-plane/portal/status-page";
import { transaction } from "../../../control-plane/store/database";
import { applyToJob } from "../../../control-plane/store/jobs";
import { surveyJobs, surveyWorkers } from "../../../control-plane/store/survey";
import { sweep } from "../../../control-plane/store/sweeper";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { TestFleet } from "../store/fleet";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterAll(() => postgres.stop(), 60_000);

const STEPS = longForm(100, 10_000);
const WISHES = ["run", "run", "run", "pause", "stop"] as const satisfies JobEvent["type"][];

/** Good, quiet, warn and bad. */
const LEVELS = 4;
/** For longer than anything here may take. */
const RENEW = "update leases set expires_at = now() + interval '1 hour'";

/** Asked of the tables alone: the jobs that are well, and those that failed. */
const TRUTH = `
  select j.name, j.state = 'running' and j.desired = 'run' and j.gap_after is null
      and exists (select 1 from leases l where l.session_id = j.session_id and l.expires_at > now()) as well,
    j.state = 'failed' as failed
  from jobs j order by j.name`;

it(`control-plane 30: after each of ${STEPS} random steps the page says of every job what the store says`, async () => {
  const fleet = await TestFleet.create((await postgres.freshDatabase()).pool);
  const { pool, deploymentId } = fleet;
  await pool.query("update pulse set up_since = now() - interval '1 hour'");
  const jobs = await Promise.all(["a", "b", "c", "d"].map((name) => fleet.job(name, { maxRetries: 1 })));
  const sessions = await Promise.all(["w1", "w2"].map((name) => fleet.worker(name)));
  const random = seededRandom(30);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const timing = { ...DEFAULT_TIMING, serverLeaseMs: 1 };

  const step = async (): Promise<void> => {
    const sessionId = pick(sessions);
    const roll = random();
    const held = await pool.query<{ jobId: string; fence: number; state: string }>(
      `select id as "jobId", fence, state from jobs where session_id = $1 order by id`,
      [sessionId],
    );
    const ref = pick(held.rows);
    if (roll < 0.1) await fleet.expireLease(sessionId);
    else if (roll < 0.25) await pool.query(RENEW);
    else if (roll < 0.3) await sweep(pool, timing);
    else if (roll < 0.4) await transaction(pool, (tx) => applyToJob(tx, pick(jobs), { type: pick(WISHES) }, "test"));
    else if (roll < 0.5 || !ref) {
      await pool.query("update jobs set not_before = now() where state = 'pending'");
      await fleet.claim(sessionId);
    } else if (ref.state === "starting") await fleet.start({ sessionId, ...ref });
    else if (roll < 0.7) {
      const outcome = pick(["completed", "failed", "failed", "stopped"] as const);
      await fleet.report({ sessionId, ...ref, outcome, logTail: [] });
    }
  };

  await pool.query(RENEW);
  const seen = new Set<string>();
  for (let done = 0; done < STEPS || seen.size < LEVELS; done++) {
    await step();
    const jobs = await surveyJobs(pool, deploymentId);
    const workers = await surveyWorkers(pool, deploymentId);
    const page = String(statusPage([{ name: "shop", jobs, workers }], "now"));
    for (const { name, well, failed } of (await pool.query(TRUTH)).rows) {
      const [, level = ""] = new RegExp(`${name}</th><td class="(\\w+)">`).exec(page) ?? [];
      expect([done, name, level === "good"]).toEqual([done, name, well]);
      if (failed) expect([done, name, level]).toEqual([done, name, "bad"]);
      seen.add(level);
    }
  }
}, 7_200_000);
