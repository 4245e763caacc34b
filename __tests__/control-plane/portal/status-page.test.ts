import { gzipSync } from "node:zlib";
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

const holderOf = (status: JobStatus, all: readonly WorkerStatus[]): WorkerStatus | undefined =>
  all.find(({ workerId }) => workerId === status.workerId);

it("control-plane 30: in 10,000 random states a job is green only while a worker that is heard of runs it as it is wished", () => {
  const seen = { good: 0, quiet: 0, warn: 0, bad: 0 };
  fc.assert(
    fc.property(workers, job, (all, status) => {
      const { level } = jobCondition(status, holderOf(status, all));
      const held = ["running", "starting"].includes(status.state);
      const heard = holderOf(status, all)?.silentMs === 0;
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
      const { level, text } = jobCondition(status, holderOf(status, all));
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

it("shows silent workers that hold jobs first, and healthy ones last, so that it is those that are left out", () => {
  const [template] = fc.sample(worker, { numRuns: 1, seed: 1 }) as [WorkerStatus];
  const all = Array.from({ length: 600 }, (_, index) => ({
    ...template,
    workerId: `i-${index}`,
    draining: index === 599,
    jobs: index === 597 ? 0 : 1,
    silentMs: index === 597 || index === 598 ? 90_000 : 0,
  }));

  const page = String(statusPage([{ name: "shop", workers: all, jobs: [] }], "now"));

  const [, rows = ""] = page.split("<caption>Workers");
  expect([...rows.matchAll(/row">([^<]+)/g)].slice(0, 4).map(([, id]) => id)).toEqual([
    "i-598",
    "i-597",
    "i-599",
    "i-0",
  ]);
  expect(rows).toContain(`<td class="bad">silent for 90 s</td>`);
  expect(rows).toContain(`<td class="warn">silent for 90 s, holds no job</td>`);
  expect(page).toContain("600 workers (2 silent) with");
});

it("control-plane 30: of 10,000 workers and jobs it shows the most urgent in 60 KB, and looks at each a few times", () => {
  const [template, worst] = fc.sample(job, { numRuns: 2, seed: 1 }) as [JobStatus, JobStatus];
  const many = Array.from({ length: 10_000 }, (_, index) => index);
  let looks = 0;
  const all = many.map((index) => ({
    get workerId() {
      looks += 1;
      return `i-0${(index * 7_919 + 2 ** 40).toString(16)}`;
    },
    pool: "default",
    slots: 4,
    jobs: 1,
    draining: false,
    silentMs: 0,
    agentVersion: "1.0.0",
  }));
  const jobs: JobStatus[] = all.map(({ workerId }, index) => ({
    ...template,
    name: `orders-${index}`,
    state: "running",
    desired: "run",
    gapAfter: null,
    workerId,
    metrics: { lagMs: (index * 13) % 3_000, eventsPerSecond: (index * 7) % 500 },
    metricsAgeMs: 1_000,
  }));
  looks = 0;

  const page = String(
    statusPage([{ name: "shop", workers: all, jobs: [...jobs, { ...worst, name: "broken", state: "failed" }] }], "now"),
  );

  expect(gzipSync(page).length).toBeLessThan(60 * 1_024);
  expect(page).toContain("<title>1 in trouble");
  expect(page.indexOf("broken")).toBeLessThan(page.indexOf("orders-0"));
  expect(looks).toBeLessThan(5 * all.length);
});
