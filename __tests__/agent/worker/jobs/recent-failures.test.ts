import { RecentFailures } from "../../../../agent/worker/jobs/recent-failures";

test("where nobody asks for the jobs that failed the last thousand are kept", () => {
  const failures = new RecentFailures();
  for (let job = 0; job < 1_500; job++) failures.add(`job-${job}`, 1);
  // One that fails again is among the last.
  failures.add("job-500", 1);

  const kept = failures.take(() => true);

  expect([kept.length, kept[0], kept.at(-1)]).toEqual([1_000, "job-501", "job-500"]);
});
