import fc from "fast-check";
import { isHeld, type Job, type JobEvent, type JobState, newJob, transition } from "../../../control-plane/lease/job";

const NEW_JOB = newJob({ maxRetries: 2, onDisconnect: "stop" });

const session = fc.constantFrom("a", "b");
const by = fc.record({ session, fence: fc.integer({ min: 0, max: 4 }) });
const event: fc.Arbitrary<JobEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("claim" as const), session }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom("started" as const, "release" as const), by }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("report" as const),
      by,
      outcome: fc.constantFrom("completed" as const, "stopped" as const, "failed" as const),
    }),
  },
  fc.record({ type: fc.constant("ungrant" as const), by }),
  fc.record({ type: fc.constant("adopt" as const), session }),
  fc.constantFrom("lost" as const, "gone" as const).map((type) => ({ type })),
  {
    weight: 3,
    arbitrary: fc
      .constantFrom("run" as const, "run" as const, "pause" as const, "stop" as const, "delete" as const)
      .map((type) => ({ type })),
  },
);

const WISHES = ["run", "pause", "stop", "delete"];

/** Plays events over a job; those that are refused change nothing. */
function play(job: Job, events: readonly JobEvent[], seen?: (before: Job, event: JobEvent, after: Job) => void): Job {
  return events.reduce((before, next) => {
    const after = transition(before, next);
    if (typeof after === "string") return before;
    seen?.(before, next, after);
    return after;
  }, job);
}

describe("a job's states", () => {
  it("control-plane 4, R25: a terminal state wins over everything but the operator, in 100,000 random orders", () => {
    let terminals = 0;
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 10, maxLength: 40 }),
        fc.constantFrom("stop" as const, "keep" as const),
        (events, onDisconnect) => {
          const reports = new Set<number>();
          play({ ...NEW_JOB, onDisconnect }, [{ type: "run" }, ...events], (before, next, after) => {
            if (
              ["completed", "failed", "stopped", "paused", "deleted"].includes(before.state) &&
              after.state !== before.state
            ) {
              terminals += 1;
              if (!WISHES.includes(next.type)) throw new Error(`${next.type} overturned ${before.state}`);
            }
            if (before.state === "deleted" && after.state !== "deleted") throw new Error("a deleted job came back");
            if (next.type === "report" && after !== before) {
              if (reports.has(next.by.fence)) throw new Error(`fence ${next.by.fence} reported twice`);
              reports.add(next.by.fence);
            }
            if (next.type === "claim" ? after.fence !== before.fence + 1 : after.fence !== before.fence) {
              throw new Error("only a claim makes a fence");
            }
            if (isHeld(after) !== ["starting", "running"].includes(after.state))
              throw new Error("held without running");
            if (before.state === "running" && next.type === "lost" && onDisconnect === "keep" && !isHeld(after)) {
              throw new Error("a kept job moved without evidence");
            }
          });
        },
      ),
      { numRuns: 100_000, seed: 25 },
    );
    expect(terminals).toBeGreaterThan(10_000);
  }, 120_000);

  it("counts failures since the last success of the operator or a checkpoint, and gives up after the retries", () => {
    const failure = (fence: number): JobEvent[] => [
      { type: "claim", session: "a" },
      { type: "started", by: { session: "a", fence } },
      { type: "report", by: { session: "a", fence }, outcome: "failed" },
    ];

    const job = play(NEW_JOB, [{ type: "run" }, ...failure(1), ...failure(2)]);
    expect(job).toMatchObject({ state: "pending", failures: 2 });
    const failed = play(job, failure(3));
    expect(failed).toMatchObject({ state: "failed", failures: 3 });
    expect(play(failed, [{ type: "run" }])).toMatchObject({ state: "pending", failures: 0 });
  });

  it.each([
    ["run", { completed: "completed", failed: "failed", stopped: "pending" }],
    ["pause", { completed: "completed", failed: "paused", stopped: "paused" }],
    ["stop", { completed: "completed", failed: "stopped", stopped: "stopped" }],
    ["delete", { completed: "deleted", failed: "deleted", stopped: "deleted" }],
  ] as const)("is after its last try, however that ends, where the operator wanted it: %s", (wish, states) => {
    for (const [outcome, state] of Object.entries(states)) {
      const by = { session: "a", fence: 1 };
      const job = play(newJob({ maxRetries: 0, onDisconnect: "stop" }), [
        { type: "run" },
        { type: "claim", session: "a" },
        { type: "started", by },
        { type: wish },
        { type: "report", by, outcome: outcome as keyof typeof states },
      ]);
      expect([outcome, job.state]).toEqual([outcome, state]);
    }
  });

  it("at rest becomes what the operator wants; one that has ended stays as it is until it is run again or deleted", () => {
    const wishes = ["run", "pause", "stop", "delete"] as const;
    const becomes = (state: JobState) =>
      wishes.map((type) => {
        const next = transition({ ...NEW_JOB, state }, { type });
        return typeof next === "string" ? next : next.state;
      });

    for (const state of ["created", "pending", "paused"] as const) {
      expect(becomes(state)).toEqual(["pending", "paused", "stopped", "deleted"]);
    }
    for (const state of ["stopped", "failed"] as const) {
      expect(becomes(state)).toEqual(["pending", "conflict", "stopped", "deleted"]);
    }
    expect(becomes("completed")).toEqual(["pending", "conflict", "conflict", "deleted"]);
    expect(becomes("deleted")).toEqual(["conflict", "conflict", "conflict", "deleted"]);
  });

  it("lets the holder go before a wish comes true", () => {
    const running = play(NEW_JOB, [
      { type: "run" },
      { type: "claim", session: "a" },
      { type: "started", by: { session: "a", fence: 1 } },
    ]);

    const asked = play(running, [{ type: "pause" }]);
    expect(asked).toMatchObject({ state: "running", desired: "pause" });
    expect(play(asked, [{ type: "release", by: { session: "a", fence: 1 } }])).toMatchObject({ state: "paused" });
  });
});
