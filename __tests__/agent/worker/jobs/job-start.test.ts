import type { Connection, JobRef, JobSpec } from "../../../../control-plane/protocol";
import { eventually } from "../../daemon/eventually";
import { grantOf, jobSpec, PASSWORD, useWorkers } from "./supervised";

jest.setTimeout(120_000);

const worker = useWorkers();

function fullDisk(): never {
  throw new Error("ENOSPC: no space left on device");
}

/** A worker whose disk is full, and a clock that can be put forward. */
function withFullDisk() {
  let skippedMs = 0;
  const clock = performance.now.bind(performance);
  jest.spyOn(performance, "now").mockImplementation(() => clock() + skippedMs);
  const parts = worker();
  parts.host.faults = fullDisk;
  const skip = (ms: number): void => {
    skippedMs += ms;
  };
  return { ...parts, skip };
}

test("where no daemon can be started no job is claimed for a while, longer each time, so that others get the job", async () => {
  const { host, source, jobs, idle, skip } = withFullDisk();
  const fail = async () => {
    jobs.start(grantOf(), 0);
    await idle();
  };

  await fail();

  expect(jobs.failures).toBe(1);
  expect(source.of("report")[0]?.report).toMatchObject({ outcome: "failed", error: expect.stringContaining("ENOSPC") });
  expect(jobs.free).toBe(0);
  skip(10_000);
  expect(jobs.free).toBe(4);
  await fail();
  skip(10_000);
  expect(jobs.free).toBe(0);
  skip(10_000);
  expect(jobs.free).toBe(4);

  // WHEN there is room again THEN the count starts anew, and what a job brings that is not usable is no fault of the worker's
  host.faults = () => ({});
  const grant = grantOf();
  jobs.start(grant, 0);
  await eventually("it runs", async () => expect(host.daemons).toHaveLength(1));
  jobs.start(grantOf({ spec: { options: { UNKNOWN: "1" } } }), 0);
  await eventually("the other has failed", async () => expect(jobs.used).toBe(1));
  expect(jobs.free).toBe(3);
  expect(jobs.failures).toBe(2);
  jobs.stop(grant, { mode: "kill", cause: "fenced" });
  await idle();
  host.faults = fullDisk;
  await fail();
  skip(10_000);
  expect(jobs.free).toBe(4);
});

test("daemons of one claim that cannot be started for one cause are one failure, also those that fail when its pause is over", async () => {
  const { source, jobs, idle, skip } = withFullDisk();
  // GIVEN four grants that come together, of which the last takes longer than the others' pause to fail
  const grants = [grantOf(), grantOf(), grantOf(), grantOf()];
  const slow = grants.at(-1);
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  source.started = async ({ jobId }) => {
    if (jobId === slow?.jobId) await held;
    return "taken";
  };

  // WHEN
  for (const grant of grants) jobs.start(grant, 0);
  await eventually("three have failed", async () => expect(jobs.used).toBe(1));

  // THEN
  expect(jobs.free).toBe(0);
  skip(10_000);
  expect(jobs.free).toBe(3);
  goOn();
  await idle();
  expect(source.of("report")).toHaveLength(4);
  expect(jobs.free).toBe(4);

  // AND what is claimed after that and fails is the second
  jobs.start(grantOf(), 0);
  await idle();
  skip(10_000);
  expect(jobs.free).toBe(0);
  skip(10_000);
  expect(jobs.free).toBe(4);
});

test("a grant that the end of the lease overtook starts nothing and is released", async () => {
  const { host, jobs, lease, source } = worker();
  const [late, stale] = [grantOf(), grantOf()];
  lease.valid = false;
  jobs.start(late, 0);
  Object.assign(lease, { valid: true, lapses: 1 });
  jobs.start(stale, 0);

  expect(jobs.released.map(({ jobId }) => jobId)).toEqual([late.jobId, stale.jobId]);
  expect(jobs.used).toBe(0);
  expect(source.words).toEqual([]);
  expect(host.daemons).toEqual([]);
});

test("R24: while its start is being confirmed a job may be lost to the lease, or to a stop: then no daemon is started, and the grant is given back", async () => {
  const { host, jobs, lease, source, idle } = worker();
  const [lapsed, stopped] = [grantOf(), grantOf()];
  source.started = async ({ jobId }) => {
    if (jobId === stopped.jobId) jobs.stop(stopped, { mode: "quiesce", cause: "drain" });
    else lease.lapses = 1;
    return "taken";
  };
  jobs.start(stopped, 0);
  await idle();
  jobs.start(lapsed, 0);
  await idle();

  expect(host.daemons).toEqual([]);
  expect(jobs.released.map(({ jobId }) => jobId)).toEqual([stopped.jobId, lapsed.jobId]);
});

test.each<[string, (parts: ReturnType<typeof worker>, ref: JobRef) => void]>([
  ["the lease's end, of which the host knows first", ({ lease }) => void Object.assign(lease, { lapses: 1 })],
  ["a drain", ({ jobs }, ref) => void jobs.stop(ref, { mode: "quiesce", cause: "drain" })],
])(
  "R25: a daemon that cannot be started any more because of %s has not failed: the job is given back, and others are claimed",
  async (_, comes) => {
    const parts = worker();
    const { host, jobs, source, lines, idle } = parts;
    const grant = grantOf();
    host.faults = ({ record }) => {
      comes(parts, record);
      throw new Error("the lease is over");
    };

    jobs.start(grant, 0);
    await idle();

    expect([...source.of("report"), ...source.of("release")]).toEqual([]);
    expect(jobs.released).toEqual([{ jobId: grant.jobId, fence: grant.fence }]);
    expect(jobs.free).toBe(4);
    expect(lines.join("")).toContain("the lease is over");
  },
);

test("R25: of a job that is somebody else's by the time its daemon cannot be started nothing is said", async () => {
  const { host, jobs, source, idle } = worker();
  host.faults = ({ record }) => {
    jobs.stop(record, { mode: "kill", cause: "fenced" });
    throw new Error("ENOSPC: no space left on device");
  };

  jobs.start(grantOf(), 0);
  await idle();

  expect([...source.of("report"), ...jobs.released]).toEqual([]);
});

test("R24: a start that is refused, or never confirmed, starts no daemon; what is somebody else's by then is not given back", async () => {
  const { host, jobs, source, idle } = worker();
  const [unheard, fenced] = [grantOf({ deadlineMs: 1 }), grantOf()];
  source.started = async ({ jobId }) => (jobId === fenced.jobId ? "fenced" : 0);
  for (const grant of [unheard, fenced]) jobs.start(grant, 0);
  await idle();

  expect(host.daemons).toEqual([]);
  expect(jobs.released.map(({ jobId }) => jobId)).toEqual([unheard.jobId]);
  expect(source.words).toEqual([]);
});

test("R24: a grant that comes twice starts one daemon", async () => {
  const { host, jobs, streaming } = worker();
  const grant = grantOf();
  for (let time = 0; time < 3; time++) jobs.start(grant, 0);
  await streaming();
  jobs.start(grant, 0);
  await eventually("it is looked at again", async () =>
    expect(host.requests.filter(({ path }) => path === "GET health").length).toBeGreaterThan(2),
  );

  expect(host.daemons).toHaveLength(1);
  expect(jobs.released).toEqual([]);
});

test("a setting that no daemon would take is told, by name and without its value, before anything is started", async () => {
  const { host, jobs, source, idle } = worker();
  jobs.start(grantOf({ spec: { options: { FLUSH_SIZE: "canary-value", NODE_OPTIONS: "--inspect" } } }), 0);
  await idle();

  const error = source.of("report")[0]?.report.error;
  expect(error).toContain("FLUSH_SIZE has a value that no daemon would take");
  expect(error).toContain("NODE_OPTIONS is not a setting of a job");
  expect(error).not.toContain("canary-value");
  expect(host.daemons).toEqual([]);
});

test("a job whose datasource has a URL that cannot be decoded fails alone: others are claimed", async () => {
  const { jobs, source, idle } = worker();
  const { sink } = grantOf().spec;

  jobs.start(grantOf({ spec: { sink: { ...sink, url: "http://db.internal:8030/%zz" } } }), 0);
  await idle();

  expect(source.of("report")[0]?.report.error).toContain("sink.url cannot be decoded");
  expect(jobs.free).toBe(4);
});

const CANARY = "hunter2-canary";
const sinkWith = (change: Partial<Connection>): Partial<JobSpec> => ({ sink: { ...jobSpec().sink, ...change } });
const sourceWith = (change: Partial<Connection>): Partial<JobSpec> => ({ source: { ...jobSpec().source, ...change } });
const KEY = {
  engine: "snowflake",
  url: "https://db.internal/SHOP",
  password: `-----BEGIN PRIVATE KEY-----\n${CANARY}\0`,
};
const MANY_TABLES = Array.from({ length: 10_000 }, (_, index) => `shop.${"t".repeat(20)}_${index}`);

test.each<[string, Partial<JobSpec>, string]>([
  ["sink's password holds a NUL", sinkWith({ password: `${CANARY}\0` }), "sink.password holds a NUL"],
  ["sink's private key holds a NUL", sinkWith(KEY), "sink.password holds a NUL"],
  ["source's password holds a NUL", sourceWith({ password: `${CANARY}\0` }), "source.password holds a NUL"],
  ["sink's user holds a NUL", sinkWith({ user: `${CANARY}\0` }), "sink.user holds a NUL"],
  [
    "source's password holds half a character",
    sourceWith({ password: `${CANARY}\ud800` }),
    "source.password holds a NUL or",
  ],
  ["sink's database holds a NUL", sinkWith({ url: `https://db.internal/${CANARY}%00` }), "sink.url holds a NUL"],
  ["tables are more than a variable takes", { tables: MANY_TABLES }, "tables: TABLES would be 308896 bytes long"],
  [
    "sink's user is longer than a variable",
    sinkWith({ user: CANARY.repeat(10_000) }),
    "sink.user: SINK_USER would be 140010 bytes long",
  ],
])("a job whose %s fails alone, and no value is told: others are claimed", async (_, spec, error) => {
  const { host, jobs, source, lines, idle } = worker();

  jobs.start(grantOf({ spec }), 0);
  await idle();

  expect(source.of("report")[0]?.report.error).toContain(error);
  expect(JSON.stringify([source.words, lines])).not.toContain(CANARY);
  expect(host.daemons).toEqual([]);
  expect([jobs.free, jobs.failures]).toEqual([4, 0]);
});

test("R34: why a daemon could not be started is told without the job's secrets", async () => {
  const { host, jobs, source, lines, idle } = worker();
  host.faults = ({ record }) => {
    throw new Error(`no room for ${PASSWORD} of ${record.name}`);
  };

  jobs.start(grantOf(), 0);
  await idle();

  expect(source.of("report")[0]?.report.error).toBe(
    "the daemon could not be started: no room for [redacted] of orders",
  );
  expect(lines.join("")).toContain("no room for [redacted]");
  expect(lines.join("")).not.toContain(PASSWORD);
});
