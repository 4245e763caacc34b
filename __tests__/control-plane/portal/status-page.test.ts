import fc from "fast-check";
import { type JobStatus, jobCondition, statusPage, type WorkerStatus } from "../../../control-plane/portal/status-page";

const worker = fc.record({
  workerId: fc.constantFrom("i-1", "i-2"),
  pool: fc.constant("default"),
  slots: fc.nat(10),
  jobs: fc.nat(10),
  draining: fc.boolean(),
  silentMs: fc.constantFrom(0, 0, 1, 90_000),
  agentVersion: fc.constant("1.0.0"),
}) satisfies fc.Arbitrary<WorkerStatus>;

const job = fc.record({
  name: fc.constant("orders"),
  state: fc.constantFrom(
    "running",
    "running",
    "running",
    "running",
    "created",
    "pending",
    "starting",
    "running",
    "paused",
    "stopped",
    "failed",
    "completed",
  ),
  desired: fc.constantFrom("run", "run", "run", "pause", "stop", "delete"),
  phase: fc.constantFrom(null, "init", "snapshot", "streaming"),
  workerId: fc.constantFrom(null, "i-1", "i-2", "i-3"),
  source: fc.constant("db"),
  sink: fc.constant("copy"),
  failures: fc.nat(3),
  lastError: fc.constantFrom(null, "no route to host"),
  gapAfter: fc.constantFrom(null, null, "0/5"),
  metrics: fc.constantFrom(null, { lagMs: 1_500, eventsPerSecond: 3 }),
  metricsAgeMs: fc.constantFrom(null, 1_000, 600_000),
}) satisfies fc.Arbitrary<JobStatus>;

const workers = fc.uniqueArray(worker, { selector: ({ workerId }) => workerId, maxLength: 2 });

const isHeard = (status: JobStatus, all: readonly WorkerStatus[]): boolean =>
  all.some(({ workerId, silentMs }) => workerId === status.workerId && silentMs === 0);

it("control-plane 30: in 10,000 random states a job is green only while a worker that is heard of runs it as it is wished", () => {
  const seen = { good: 0, quiet: 0, warn: 0, bad: 0 };
  fc.assert(
    fc.property(workers, job, (all, status) => {
      const { level } = jobCondition(status, all);
      const held = ["running", "starting"].includes(status.state);
      const heard = isHeard(status, all);
      const well = status.state === "running" && status.desired === "run" && heard && status.gapAfter === null;
      seen[level] += 1;
      if (status.state === "failed" || (held && !heard)) return level === "bad";
      return (level === "good") === well;
    }),
    { numRuns: 10_000, seed: 30 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(100);
});

it("control-plane 30: the page says each job's condition, names the worst in its title, and shows no figure that is old", () => {
  let figures = 0;
  fc.assert(
    fc.property(workers, job, (all, status) => {
      const { level, text } = jobCondition(status, all);
      const page = String(statusPage([{ name: "shop", workers: all, jobs: [status] }], "now"));

      expect(page).toContain(`class="${level}">${text}`);
      expect(page.includes("<title>1 in trouble")).toBe(level === "bad");
      if (!page.includes("1.5 s")) return;
      figures += 1;
      expect([status.state, status.metricsAgeMs]).toEqual(["running", 1_000]);
    }),
    { numRuns: 500, seed: 31 },
  );
  expect(figures).toBeGreaterThan(10);
});
