import { type Job, type JobEvent, retryDelayMs, transition } from "../../../control-plane/lease/job";
import { queuedJob } from "./simulator/simulate";

const MAX_RETRIES = 10;

function after(job: Job, event: JobEvent): Job {
  const next = transition(job, event);
  if (typeof next === "string") throw new Error(`${event.type} is refused: ${next}`);
  return next;
}

/** One attempt that fails, started by whoever may. */
function failed(job: Job): Job {
  const claimed = after(job, { type: "claim", session: "a" });
  const by = { session: "a", fence: claimed.fence };
  return after(after(claimed, { type: "started", by }), { type: "report", by, outcome: "failed" });
}

test(`R27: a job that always fails is tried ${MAX_RETRIES} times again, and is then given up`, () => {
  let job = queuedJob();
  for (let retry = 1; retry <= MAX_RETRIES; retry++) {
    job = failed(job);
    expect(job).toMatchObject({ state: "pending", failures: retry });
  }

  expect(failed(job)).toMatchObject({ state: "failed", fence: MAX_RETRIES + 1 });
});

test("R27: each retry waits for longer, from one second to five minutes, half of it random", () => {
  const waits = (random: number) =>
    Array.from({ length: MAX_RETRIES }, (_, index) => retryDelayMs(index + 1, () => random) / 1_000);

  expect(waits(0)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 150, 150]);
  expect(waits(1)).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  expect(retryDelayMs(1_000, () => 1)).toBe(300_000);
});
