import { eventually } from "../../daemon/eventually";
import { grantOf, useWorkers } from "./supervised";

jest.setTimeout(60_000);

const worker = useWorkers();

/** A worker whose daemons fail their setup until they may not, and a clock that can be put forward. */
function crashing() {
  let skippedMs = 0;
  const clock = performance.now.bind(performance);
  jest.spyOn(performance, "now").mockImplementation(() => clock() + skippedMs);
  const parts = worker();
  parts.host.faults = () => ({ setupError: "no publication" });
  const fail = async (...grants: ReturnType<typeof grantOf>[]) => {
    for (const grant of grants) parts.jobs.start(grant, 0);
    await parts.idle();
  };
  const skip = (ms: number): void => {
    skippedMs += ms;
  };
  return { ...parts, fail, skip };
}

test("a daemon that does not serve yet is an unhealthy job, one that streams is none", async () => {
  const { jobs, streaming } = worker();
  jobs.start(grantOf(), 0);
  expect(jobs.takeUnhealthy()).toBe(1);
  await streaming();
  expect(jobs.takeUnhealthy()).toBe(0);
});

test("a job that failed is unhealthy once although it has left, however often it came back", async () => {
  const { jobs, fail, skip } = crashing();
  const grant = grantOf();
  await fail(grant);
  await fail({ ...grant, fence: 2, attempt: 2 }, grantOf());
  skip(4_000);

  expect(jobs.takeUnhealthy()).toBe(2);
  expect(jobs.takeUnhealthy()).toBe(0);
});

test("a job in a crash loop is unhealthy for as long as it may wait for its next start", async () => {
  const { jobs, fail, skip } = crashing();
  await fail(grantOf({ fence: 8, attempt: 8 }));
  expect(jobs.takeUnhealthy()).toBe(1);
  skip(200_000);
  expect(jobs.takeUnhealthy()).toBe(1);
  skip(56_000);
  expect(jobs.takeUnhealthy()).toBe(0);
});

test("a job that came back here after it failed is unhealthy once, and then what its daemon is", async () => {
  const { host, jobs, fail, streaming } = crashing();
  const grant = grantOf({ fence: 8, attempt: 8 });
  await fail(grant);
  host.faults = () => ({});
  jobs.start({ ...grant, fence: 9, attempt: 9 }, 0);
  await streaming();
  expect(jobs.takeUnhealthy()).toBe(1);
  expect(jobs.takeUnhealthy()).toBe(0);
});

test("a job whose daemon cannot be started is unhealthy, one that is let go is not", async () => {
  const { host, jobs, source, idle, streaming } = worker();
  const grant = grantOf();
  jobs.start(grant, 0);
  await streaming();
  jobs.stop(grant, { mode: "quiesce", cause: "drain" });
  await idle();
  expect(jobs.takeUnhealthy()).toBe(0);

  host.faults = () => {
    throw new Error("ENOSPC: no space left on device");
  };
  jobs.start(grantOf(), 0);
  await eventually("it has failed", async () => expect(source.of("report")).toHaveLength(1));
  expect(jobs.takeUnhealthy()).toBe(1);
});
