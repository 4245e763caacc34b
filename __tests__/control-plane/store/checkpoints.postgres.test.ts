import { releaseJobs, saveCheckpoint } from "../../../control-plane/store/holder";
import type { Ref } from "../../../control-plane/store/sessions";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { type TestFleet, useFleets } from "./fleet";

/** Checkpoints that are saved, of which some thirty are under way at once. */
const ORDERS = longForm(1_500, 10_000);
const OF_HOLDER = 20;
const OF_OTHERS = 10;

const fleets = useFleets();

interface Holder {
  readonly sessionId: string;
  readonly ref: Ref;
}

/** What became of the job's row, step by step: it is locked by who writes it, so this is the order of the commits. */
async function keepHistory({ pool }: TestFleet): Promise<void> {
  await pool.query("create table history (step bigserial, fence bigint, seq bigint, position text)");
  await pool.query(`
    create function keep_history() returns trigger language plpgsql as $$ begin
      insert into history (fence, seq, position) values (new.fence, new.checkpoint_seq, new.checkpoint_position);
      return null;
    end $$;
    create trigger keep_history after update of checkpoint_position on jobs for each row
      when (new.checkpoint_position is distinct from old.checkpoint_position) execute function keep_history()`);
}

it(`control-plane 10: a checkpoint never goes back, and none of an old fence counts, in ${ORDERS} that holders old and new save at once`, async () => {
  const fleet = await fleets.freshFleet();
  const { pool } = fleet;
  const jobId = await fleet.job("orders");
  const sessions = await Promise.all(["w1", "w2", "w3"].map((name) => fleet.worker(name)));
  await keepHistory(fleet);
  const random = seededRandom(10);
  const save = async ({ sessionId, ref }: Holder, seq: number) => {
    const position = `${ref.fence}/${seq}`;
    return await saveCheckpoint(pool, sessionId, ref, { seq, phase: "streaming", position });
  };
  const take = async (sessionId = ""): Promise<Holder> => ({ sessionId, ref: await fleet.run(sessionId) });

  let newest = 0;
  let saved = 0;
  let overtaken = 0;
  let before: Holder | undefined;
  let holder = await take(sessions[0]);
  for (let round = 1; saved < ORDERS || overtaken < ORDERS / 100; round++) {
    const { ref, sessionId } = holder;
    // GIVEN what the holder before, and whoever mixes up two claims, say beside the holder
    const stale: Holder[] = before ? [before, { ...before, ref }, { sessionId, ref: before.ref }] : [];
    const others = Array.from({ length: stale.length && OF_OTHERS }, (_, index) =>
      save(stale[index % stale.length] as Holder, newest + 1_000 + index),
    );
    // WHEN the job goes on to another worker while all of them are under way
    const from = newest;
    const own: Promise<readonly [seq: number, answer: number | "fenced"]>[] = [];
    const say = (): void => {
      const seq = Math.max(1, from + Math.floor(random() * 60) - 20);
      own.push(save(holder, seq).then((answer) => [seq, answer]));
    };
    for (let index = 0; index < OF_HOLDER; index++) say();
    const released = releaseJobs(pool, sessionId, [ref]);
    for (let index = 0; index < OF_OTHERS; index++) say();

    expect(await released).toEqual([]);
    expect(new Set(await Promise.all(others))).toEqual(new Set(stale.length > 0 ? ["fenced"] : []));
    const answers = await Promise.all(own);
    saved += others.length + answers.length;
    for (const [seq, answer] of answers) {
      if (answer === "fenced") overtaken += 1;
      else {
        expect(answer).toBeGreaterThanOrEqual(seq);
        newest = Math.max(newest, answer);
      }
    }
    expect(await fleet.row(jobId)).toMatchObject({ checkpoint_seq: newest });
    before = holder;
    holder = await take(sessions[round % sessions.length]);
  }

  const { rows } = await pool.query<{ fence: number; seq: number; position: string }>(
    "select fence, seq, position from history order by step",
  );
  let last = 0;
  for (const { fence, seq, position } of rows) {
    expect(seq).toBeGreaterThan(last);
    expect(position).toBe(`${fence}/${seq}`);
    last = seq;
  }
  expect(await fleet.assignment(holder.sessionId, holder.ref)).toMatchObject({ resume: { seq: newest } });
}, 600_000);
