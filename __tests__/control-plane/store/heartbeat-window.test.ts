import type { Pool } from "pg";
import { Heartbeats } from "../../../control-plane/store/heartbeats";

const NOTHING = { running: [], released: [] };
const SECONDS = 5;

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/**
 * So many heartbeats a second, evenly or so many in a step, in virtual time: how long the longest waited, and how many groups a second there
 * were after the first two.
 */
async function fleet(perSecond: number, inStep = 1): Promise<{ longestMs: number; groups: number }> {
  let groups = 0;
  const query = async (_: unknown) => {
    groups += 1;
    return { rows: [] };
  };
  const heartbeats = new Heartbeats({ query } as unknown as Pool, 30_000);
  const waits: Promise<number>[] = [];
  for (let count = 0; count < perSecond * SECONDS; count++) {
    if (count === 2 * perSecond) groups = 0;
    const atMs = performance.now();
    const beat = heartbeats.beat({ tokenId: `t${count}`, sessionId: `s${count}` }, "open", NOTHING);
    waits.push(beat.then(() => performance.now() - atMs));
    if ((count + 1) % inStep === 0) await jest.advanceTimersByTimeAsync((1_000 * inStep) / perSecond);
  }
  await jest.advanceTimersByTimeAsync(100);
  return { longestMs: Math.max(...(await Promise.all(waits))), groups: groups / (SECONDS - 2) };
}

it("control-plane 24: the heartbeats of 500 workers, fifty a second, wait for 25 ms at most, and those of a few for nobody", async () => {
  expect((await fleet(1)).longestMs).toBeLessThanOrEqual(1);
  expect((await fleet(50)).longestMs).toBeLessThanOrEqual(26);
});

it("control-plane 15: the heartbeats of 10,000 workers, a thousand a second, share five groups a second where they come in steps, and 40 otherwise; of no fleet are there more than 45", async () => {
  const inSteps = await fleet(1_000, 200);
  expect([inSteps.longestMs <= 25, inSteps.groups]).toEqual([true, 5]);
  const large = await fleet(1_000);
  expect([large.longestMs <= 25, large.groups < 41]).toEqual([true, true]);
  for (const perSecond of [20, 30, 40, 44, 50, 60, 100, 200])
    expect((await fleet(perSecond)).groups).toBeLessThanOrEqual(45);
});
