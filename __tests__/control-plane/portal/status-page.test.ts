import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { statusPage } from "../../../control-plane/portal/status-page";
import { type JobStatus, LEVELS, MOST_SHOWN, type WorkerStatus } from "../../../control-plane/store/survey";

const level = fc.constantFrom(...LEVELS);

const worker = fc.record({
  workerId: fc.constantFrom("i-1", "i-2"),
  level,
  pool: fc.constant("default"),
  slots: fc.nat(10),
  jobs: fc.nat(10),
  draining: fc.boolean(),
  silentMs: fc.constantFrom(0, 0, 1, 90_000),
  agentVersion: fc.constant("1.0.0"),
}) satisfies fc.Arbitrary<WorkerStatus>;

const job = fc.record({
  name: fc.constant("orders"),
  level,
  state: fc.constantFrom("running", "running", "created", "pending", "starting", "paused", "stopped", "failed"),
  desired: fc.constantFrom("run", "run", "run", "pause", "stop", "delete"),
  phase: fc.constantFrom(null, "init", "snapshot", "streaming"),
  workerId: fc.constantFrom(null, "i-1"),
  isHeld: fc.boolean(),
  source: fc.constant("db"),
  sink: fc.constant("copy"),
  failures: fc.nat(3),
  lastError: fc.constantFrom(null, "no route to host"),
  gapAfter: fc.constantFrom(null, null, "0/5"),
  metrics: fc.constantFrom(null, { lagMs: 1_500, eventsPerSecond: 3 }),
  metricsAgeMs: fc.constantFrom(null, 1_000, 600_000),
}) satisfies fc.Arbitrary<JobStatus>;

const NO_JOBS = { states: [], shown: [] };
const NO_WORKERS = { count: 0, silent: 0, slots: 0, shown: [] };

/** Of a deployment with one job. */
function pageOf(status: JobStatus): string {
  const states = [{ state: status.state, count: 1, bad: Number(status.level === "bad") }];
  return String(statusPage([{ name: "shop", workers: NO_WORKERS, jobs: { states, shown: [status] } }], "now"));
}

it("control-plane 30: the page shows how urgent each job is, counts what is in trouble in its title, and shows no figure that is old", () => {
  let figures = 0;
  fc.assert(
    fc.property(job, (status) => {
      const page = pageOf(status);

      expect(page).toContain(`orders</th><td class="${status.level}">${status.state}`);
      expect(page.includes("no route to host")).toBe(status.lastError !== null && status.level !== "good");
      expect(page.includes("<title>1 in trouble")).toBe(status.level === "bad");
      if (!page.includes("1.5 s")) return;
      figures += 1;
      expect([status.state, status.metricsAgeMs]).toEqual(["running", 1_000]);
    }),
    { numRuns: 500, seed: 31 },
  );
  expect(figures).toBeGreaterThan(10);
});

it("says in words what is the matter with a job", () => {
  const [template] = fc.sample(job, { numRuns: 1, seed: 1 }) as [JobStatus];
  const well = { state: "running", desired: "run", isHeld: true, gapAfter: null, failures: 0, lastError: null };
  const said = (trouble: Partial<JobStatus>) =>
    /orders<\/th><td class="\w+">([^<]*)</.exec(pageOf({ ...template, ...well, ...trouble }))?.[1];

  expect(said({})).toBe("running");
  expect(said({ isHeld: false, desired: "stop", gapAfter: "0/5" })).toBe("running, but its worker is silent");
  expect(said({ state: "starting", isHeld: false })).toBe("starting, but its worker is silent");
  expect(said({ desired: "stop", gapAfter: "0/5" })).toBe("running, asked to stop");
  expect(said({ gapAfter: "0/5" })).toBe("running, changes may be missing after 0/5");
  expect(said({ gapAfter: "" })).toBe("running, changes may be missing after an unknown position");
  expect(said({ state: "pending", isHeld: false, failures: 2 })).toBe("pending, after a failure");
  expect(said({ state: "pending", isHeld: false })).toBe("pending");
  expect(said({ state: "failed", isHeld: false, failures: 2, gapAfter: "0/5" })).toBe("failed");
});

it("says above its tables how many of a deployment's jobs are in trouble, where any is", () => {
  const [template] = fc.sample(job, { numRuns: 1, seed: 1 }) as [JobStatus];
  const summaryOf = (level: JobStatus["level"]) =>
    /<p id="deployment-shop-summary" data-live>(.*?)<\/p>/.exec(pageOf({ ...template, level, state: "running" }))?.[1];

  expect(summaryOf("bad")).toBe(
    '<strong class="bad">1 in trouble</strong> – 1 job (1 running), 0 workers with 0 slots',
  );
  expect(summaryOf("warn")).toBe("1 job (1 running), 0 workers with 0 slots");
});

it.each([
  [0, "0.0 s"],
  [119_900, "119.9 s"],
  [120_000, "2 min"],
  [7_199_000, "119 min"],
  [7_384_000, "2 h"],
  [47 * 3_600_000, "47 h"],
  [100 * 3_600_000, "4 d"],
])("tells a lag of %i ms in the unit that says most: %s", (lagMs, told) => {
  const [template] = fc.sample(job, { numRuns: 1, seed: 1 }) as [JobStatus];

  const page = pageOf({
    ...template,
    state: "running",
    metrics: { lagMs, eventsPerSecond: 12_345.6 },
    metricsAgeMs: 1_000,
  });

  expect(page).toContain(`<td class="number">${told}</td>\n<td class="number">12,346</td>`);
});

it("says in words what is the matter with a worker, counts all of them, and how many are left out", () => {
  const [template] = fc.sample(worker, { numRuns: 1, seed: 1 }) as [WorkerStatus];
  const well = { ...template, level: "good", draining: false, silentMs: 0, jobs: 1 } as const;
  const shown: WorkerStatus[] = [
    { ...well, workerId: "i-1", level: "bad", silentMs: 90_000 },
    { ...well, workerId: "i-2", level: "warn", silentMs: 90_000, jobs: 0 },
    { ...well, workerId: "i-3", level: "warn", draining: true },
    { ...well, workerId: "i-4" },
  ];

  const workers = { count: 600, silent: 2, slots: 2_400, shown };
  const page = String(statusPage([{ name: "shop", workers, jobs: NO_JOBS }], "now"));

  const [, rows = ""] = page.split("<caption>Workers");
  const cells = [...rows.matchAll(/row">([^<]+)<\/th><td class="(\w+)">([^<]+)/g)].map(([, ...cell]) => cell);
  expect(cells).toEqual([
    ["i-1", "bad", "silent for 90 s"],
    ["i-2", "warn", "silent for 90 s, holds no job"],
    ["i-3", "warn", "draining"],
    ["i-4", "good", "healthy"],
  ]);
  expect(page).toContain("0 jobs, 600 workers (2 silent) with 2400 slots");
  expect(page).toContain("596 more are not shown");
});

it("control-plane 30: as many jobs and workers as are shown fit into 60 KB", () => {
  const [template] = fc.sample(job, { numRuns: 1, seed: 1 }) as [JobStatus];
  const [like] = fc.sample(worker, { numRuns: 1, seed: 1 }) as [WorkerStatus];
  const workers = Array.from({ length: MOST_SHOWN }, (_, index) => ({
    ...like,
    workerId: `i-0${(index * 7_919 + 2 ** 40).toString(16)}`,
  }));
  const jobs = workers.map(({ workerId }, index) => ({
    ...template,
    name: `orders-${index}`,
    state: "running",
    workerId,
    metrics: { lagMs: (index * 13) % 3_000, eventsPerSecond: (index * 7) % 500 },
    metricsAgeMs: 1_000,
  }));

  const page = String(
    statusPage(
      [
        {
          name: "shop",
          workers: { count: 10_000, silent: 0, slots: 40_000, shown: workers },
          jobs: { states: [{ state: "running", count: 10_000, bad: 0 }], shown: jobs },
        },
      ],
      "now",
    ),
  );

  expect(gzipSync(page).length).toBeLessThan(60 * 1_024);
});
