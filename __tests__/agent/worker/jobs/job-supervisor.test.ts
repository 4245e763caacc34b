import type { DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";
import { PortPool } from "../../../../agent/worker/daemon/free-port";
import type { DbmazzFaults, FakeDaemonHost } from "../../../support/fake-dbmazz";
import { eventually } from "../../daemon/eventually";
import { grantOf, PASSWORD, supervised } from "./supervised";

jest.setTimeout(120_000);

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  for (const close of closing) await close();
  closing = [];
});

function worker(props: Parameters<typeof supervised>[0] = {}) {
  const parts = supervised(props);
  closing.push(() => parts.host.close());
  const idle = () => eventually("no job is left", async () => expect(parts.jobs.used).toBe(0), 60_000);
  const streaming = () =>
    eventually("all stream", async () => {
      const running = parts.jobs.running();
      expect(running.length).toBeGreaterThan(0);
      expect(running.filter(({ phase, status }) => phase !== "streaming" || status !== "running")).toEqual([]);
    });
  return { ...parts, idle, streaming };
}

test("where no daemon can be started no job is claimed for a while, longer each time, so that others get the job", async () => {
  let skippedMs = 0;
  const clock = performance.now.bind(performance);
  jest.spyOn(performance, "now").mockImplementation(() => clock() + skippedMs);
  // GIVEN a worker whose disk is full
  const { host, source, jobs, idle } = worker();
  host.faults = () => {
    throw new Error("ENOSPC: no space left on device");
  };
  const fail = async () => {
    jobs.start(grantOf(), 0);
    await idle();
  };

  await fail();

  expect(source.of("report")[0]?.report).toMatchObject({ outcome: "failed", error: expect.stringContaining("ENOSPC") });
  expect(jobs.free).toBe(0);
  skippedMs += 10_000;
  expect(jobs.free).toBe(4);
  await fail();
  skippedMs += 10_000;
  expect(jobs.free).toBe(0);
  skippedMs += 10_000;
  expect(jobs.free).toBe(4);

  // WHEN there is room again THEN the count starts anew, and what a job brings that is not usable is no fault of the worker's
  host.faults = () => ({});
  const grant = grantOf();
  jobs.start(grant, 0);
  await eventually("it runs", async () => expect(host.daemons).toHaveLength(1));
  jobs.start(grantOf({ spec: { options: { UNKNOWN: "1" } } }), 0);
  await eventually("the other has failed", async () => expect(jobs.used).toBe(1));
  expect(jobs.free).toBe(3);
  jobs.stop(grant, { mode: "kill", cause: "fenced" });
  await idle();
  host.faults = () => {
    throw new Error("ENOSPC: no space left on device");
  };
  await fail();
  skippedMs += 10_000;
  expect(jobs.free).toBe(4);
});

test("R26: no drain, no stop without its content type, and the slot goes only with the job", async () => {
  // GIVEN jobs that end in every way there is, one daemon that takes a stop for nothing, and one that answers nothing
  const { host, jobs, idle } = worker({ slots: 10 });
  const ways = ["quiesce", "cleanup", "kill", "drain", "deaf", "stubborn"] as const;
  const grants = new Map(ways.map((way) => [way, grantOf()]));
  const jobOf = (way: (typeof ways)[number]) => grants.get(way) ?? grantOf();
  host.faults = ({ record }) => ({
    ignoresStop: record.jobId === jobOf("stubborn").jobId,
    deaf: record.jobId === jobOf("deaf").jobId,
  });
  for (const grant of grants.values()) jobs.start(grant, 0);
  await eventually("all have started", async () => expect(host.daemons).toHaveLength(ways.length));

  // WHEN
  jobs.stop(jobOf("quiesce"), { mode: "quiesce", cause: "order" });
  jobs.stop(jobOf("cleanup"), { mode: "cleanup", cause: "order" });
  jobs.stop(jobOf("kill"), { mode: "kill", cause: "fenced" });
  for (const way of ["drain", "deaf", "stubborn"] as const) {
    jobs.stop(jobOf(way), { mode: "quiesce", cause: "drain", deadlineAt: performance.now() + 8_000 });
  }
  await idle();

  // THEN
  const stops = host.requests.filter(({ path }) => path === "POST cdc/stop");
  expect(stops.length).toBeGreaterThanOrEqual(4);
  expect(host.requests.map(({ path }) => path)).not.toContain("POST cdc/drain");
  expect(stops.filter(({ contentType }) => contentType !== "application/json")).toEqual([]);
  const dropping = stops.filter(({ body }) => JSON.parse(body).skip_slot_cleanup !== true);
  expect(dropping.map(({ job }) => job)).toEqual([jobOf("cleanup").jobId]);
  const dropped = host.daemons.filter(({ slotDropped }) => slotDropped);
  expect(dropped.map(({ launch }) => launch.record.jobId)).toEqual([jobOf("cleanup").jobId]);
});

test("R27: a daemon that ends unasked has failed, status 0 included, and its last 50 lines go along, redacted", async () => {
  const { host, jobs, source, lines, idle, streaming } = worker();
  const grant = grantOf();
  jobs.start(grant, 0);
  await streaming();

  // WHEN its stream breaks, which dbmazz takes for an end
  const [daemon] = host.daemons;
  for (let i = 1; i <= 80; i++) daemon?.output.push(`line ${i} of postgres://cdc:${PASSWORD}@db/shop`);
  daemon?.output.push(`password is ${PASSWORD}`, `and ${encodeURIComponent(PASSWORD)}`);
  await daemon?.end({ status: 0, signal: null });
  await idle();

  // THEN
  const [{ report } = { report: undefined }] = source.of("report");
  expect(report).toMatchObject({ outcome: "failed", exitCode: 0, error: expect.stringContaining("unasked") });
  expect(report?.logTail).toHaveLength(50);
  expect(report?.logTail.at(0)).toMatch(/^line 33 of postgres:\/\/\[redacted\]@/);
  expect(report?.logTail.at(-2)).toBe("password is [redacted]");
  const said = JSON.stringify(source.words) + lines.join("");
  expect(said).not.toContain(PASSWORD);
  expect(said).not.toContain(encodeURIComponent(PASSWORD));
});

test("R28: a start after the first, of a PostgreSQL job on a daemon that makes its slot anew, copies again and is told as a possible gap", async () => {
  const { host, jobs, source } = worker();
  const resume = { seq: 7, phase: "streaming" as const, position: "0/1800028" };
  const first = grantOf({ fence: 1 });
  const restarted = grantOf({ fence: 2, attempt: 2, resume });
  const mysql = grantOf({
    fence: 2,
    resume,
    spec: {
      source: { engine: "mysql", url: "mysql://db.internal:3306/shop", user: "cdc", password: PASSWORD, options: {} },
    },
  });
  for (const grant of [first, restarted, mysql]) jobs.start(grant, 0);
  await eventually("all have started", async () => expect(host.daemons).toHaveLength(3));
  await eventually("the gap is told", async () => expect(source.of("progress").length).toBeGreaterThan(0));

  const copies = new Map(host.daemons.map(({ launch }) => [launch.record.jobId, launch.variables["DO_SNAPSHOT"]]));
  expect(copies.get(first.jobId)).toBe("false");
  expect(copies.get(restarted.jobId)).toBe("true");
  expect(copies.get(mysql.jobId)).toBe("false");
  const gaps = source.of("progress").filter(({ gapAfter }) => gapAfter !== undefined);
  expect(gaps.map(({ ref, gapAfter }) => [ref.jobId, gapAfter])).toEqual([[restarted.jobId, "0/1800028"]]);
  expect(gaps[0]?.checkpoint.seq).toBe(8);
});

test("R28: a daemon that keeps its slot is started again where it was", async () => {
  const { host, jobs, source, streaming } = worker({ daemon: { kind: "reference", version: "0.1.0" } });
  jobs.start(grantOf({ fence: 3, resume: { seq: 7, phase: "streaming", position: "0/1800028" } }), 0);
  await streaming();

  expect(host.daemons[0]?.variables["DO_SNAPSHOT"]).toBe("false");
  expect(source.of("progress").filter(({ gapAfter }) => gapAfter !== undefined)).toEqual([]);
});

describe("R29:", () => {
  test("a failed setup is told at the first look, of which there is one a second, in its own words less secrets, and the idle process is killed", async () => {
    const { host, jobs, source, idle } = worker();
    const why = `publication "p" needs ownership (as cdc:${PASSWORD})`;
    host.faults = () => ({ setupError: why });
    jobs.start(grantOf(), 0);
    await eventually("it is told", async () => expect(source.of("report")).toHaveLength(1));
    await idle();

    expect(host.requests.filter(({ path }) => path === "GET health")).toHaveLength(1);
    expect(source.of("report")[0]?.report.error).toBe(
      'setup failed: publication "p" needs ownership (as cdc:[redacted])',
    );
    expect(host.daemons[0]?.signals).toEqual(["SIGKILL"]);
  });

  test.each([
    ["slot", { slotName: "somebody_else" }],
    ["tables", { tables: ["orders"] }],
  ])("a daemon that answers with a foreign %s is not ours", async (_, foreign) => {
    const { host, jobs, source, idle } = worker();
    host.faults = ({ record }) => ({ answersAs: { slotName: record.slotName, tables: record.tables, ...foreign } });
    jobs.start(grantOf(), 0);
    await idle();

    expect(source.of("report")[0]?.report).toMatchObject({
      outcome: "failed",
      error: expect.stringContaining("answered by another one"),
    });
    // The stranger was asked nothing but what it is.
    expect(host.requests.filter(({ path }) => path.startsWith("POST"))).toEqual([]);
    expect(host.daemons[0]?.signals).toEqual(["SIGKILL"]);
  });
});

test("a quiesced job is stopped only when what was pending has reached the sink, and its last position goes along", async () => {
  const { host, jobs, source, idle, streaming } = worker();
  const grant = grantOf();
  jobs.start(grant, 0);
  await streaming();
  const [daemon] = host.daemons;
  if (!daemon) throw new Error("no daemon");
  daemon.pending = 12;
  setTimeout(() => {
    daemon.pending = 0;
    daemon.confirmed += 4_096n;
  }, 300);
  const final = daemon.confirmed + 4_096n;

  jobs.stop(grant, { mode: "quiesce", cause: "drain" });
  await idle();

  const [release] = source.of("release");
  const [high, low] = [final >> 32n, final & 0xffff_ffffn];
  const position = `${high.toString(16)}/${low.toString(16)}`.toUpperCase();
  expect(release).toMatchObject({ reason: "drain", checkpoint: { position, phase: "streaming" } });
});

describe("a job that is deleted", () => {
  const CLEANUP = { mode: "cleanup", cause: "order" } as const;
  async function streamingJob(faults: DbmazzFaults = {}) {
    const parts = worker({ daemon: { kind: "reference", version: "0.1.0" } });
    const { host, jobs, source, idle, streaming } = parts;
    host.faults = () => faults;
    const grant = grantOf();
    jobs.start(grant, 0);
    await streaming();
    const [daemon] = host.daemons;
    if (!daemon) throw new Error("no daemon");
    const report = async () => {
      await idle();
      return source.of("report")[0]?.report;
    };
    return { ...parts, grant, daemon, report, slot: daemon.launch.record.slotName };
  }
  const left = (slot: string) => ({
    outcome: "failed",
    error: expect.stringContaining(`replication slot ${slot} may be left in the source`),
  });

  test("has stopped when its daemon took the stop and ended well", async () => {
    const { jobs, grant, daemon, report } = await streamingJob();
    jobs.stop(grant, CLEANUP);
    expect(await report()).toMatchObject({ outcome: "stopped", exitCode: 0 });
    expect(await report()).not.toHaveProperty("error");
    expect(daemon.slotDropped).toBe(true);
  });

  test("leaves its slot, and says so, when its daemon had to be ended by signals", async () => {
    const { jobs, grant, report, slot } = await streamingJob({ ignoresStop: true });
    jobs.stop(grant, { ...CLEANUP, deadlineAt: performance.now() + 6_000 });
    expect(await report()).toMatchObject(left(slot));
    expect(jobs.failures).toBe(0);
  });

  test("leaves its slot, and says so, when its daemon could not drop it", async () => {
    const { host, jobs, grant, daemon, report, slot } = await streamingJob({ ignoresStop: true });
    jobs.stop(grant, CLEANUP);
    await eventually("the stop is taken", async () =>
      expect(host.requests.map(({ path }) => path)).toContain("POST cdc/stop"),
    );
    await daemon.end({ status: 78, signal: null });
    expect(await report()).toMatchObject({ ...left(slot), exitCode: 78 });
  });

  test("may have left its slot, and says so, when its daemon took the stop and nobody saw how it ended", async () => {
    const { host, jobs, grant, daemon, report, slot } = await streamingJob({ ignoresStop: true });
    jobs.stop(grant, CLEANUP);
    await eventually("the stop is taken", async () =>
      expect(host.requests.map(({ path }) => path)).toContain("POST cdc/stop"),
    );
    // As of one that an earlier life of the agent has started as a plain process.
    await daemon.end({ status: null, signal: null });
    expect(await report()).toMatchObject(left(slot));
    expect((await report())?.error).toContain("took the stop, but nobody saw how it ended");
  });

  test("leaves its slot, and says so, when its daemon ended before it took the stop", async () => {
    const { host, jobs, grant, daemon, report, slot } = await streamingJob();
    void daemon.end({ status: 0, signal: null });
    jobs.stop(grant, CLEANUP);
    expect(await report()).toMatchObject(left(slot));
    expect(host.requests.map(({ path }) => path)).not.toContain("POST cdc/stop");
  });

  test("loses its slot also when it was being let go by then", async () => {
    const { host, jobs, grant, daemon, report } = await streamingJob();
    daemon.pending = 1;
    jobs.stop(grant, { mode: "quiesce", cause: "drain" });
    await eventually("it is paused", async () =>
      expect(host.requests.map(({ path }) => path)).toContain("POST cdc/pause"),
    );
    jobs.stop(grant, CLEANUP);
    daemon.pending = 0;
    expect(await report()).toMatchObject({ outcome: "stopped" });
    expect(daemon.slotDropped).toBe(true);
  });
});

test("a job leaves although what is kept of its daemon can be neither read nor removed, and its last word is said", async () => {
  const { host, jobs, source, lines, idle, streaming } = worker();
  host.faults = () => ({ unreadable: true });
  const grant = grantOf();
  jobs.start(grant, 0);
  await streaming();

  jobs.stop(grant, { mode: "quiesce", cause: "order" });
  await idle();

  expect(source.of("report")).toMatchObject([{ report: { outcome: "stopped", logTail: [] } }]);
  expect(lines.join("")).toContain("ENOTEMPTY: the daemon's folder");
});

test.each(["order", "fenced"] as const)(
  "a daemon that cannot be signalled, since what does that is away, is signalled again until it is gone (%s)",
  async (cause) => {
    const { host, jobs, idle, streaming } = worker();
    const grant = grantOf();
    jobs.start(grant, 0);
    await streaming();
    const [daemon] = host.daemons;
    if (!daemon) throw new Error("no daemon");
    jest.spyOn(daemon, "signal").mockRejectedValueOnce(new Error("the guard ended before it answered"));

    jobs.stop(grant, { mode: "kill", cause });
    await idle();

    expect(daemon.signals[0]).toBe("SIGKILL");
  },
);

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

test("R24: a start that is refused, or never confirmed, starts no daemon; what is somebody else's by then is not given back", async () => {
  const { host, jobs, source, idle } = worker();
  const [unheard, fenced] = [grantOf({ deadlineMs: 1 }), grantOf()];
  source.started = async ({ jobId }) => (jobId === fenced.jobId ? "fenced" : undefined);
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

/** A daemon that an earlier life of the agent has started. */
async function leftBehind(host: FakeDaemonHost, port: number, more: Partial<DaemonRecord> = {}): Promise<DaemonRecord> {
  const { jobId, fence, spec } = grantOf();
  const { name, onDisconnect, tables } = spec;
  const told = { slotName: "slot", flushIntervalMs: 50, snapshotOnly: false, seq: -1 };
  const record = { jobId, fence, name, onDisconnect, tables, port, ...told, ...more };
  const variables = { SOURCE_SLOT_NAME: record.slotName, TABLES: tables.join() };
  const survivor = await host.start({ record, variables, files: {} });
  host.survivors = async () => [survivor];
  return record;
}

test("R30: what a daemon that was taken up has reached is told under numbers that count, after those of the agent's earlier life", async () => {
  const { host, jobs, source, idle } = worker();
  const record = await leftBehind(host, await new PortPool().take());
  source.newest = 41;

  // WHEN it gets on, and is let go later
  await jobs.adopt();
  const counting = () => source.of("progress").filter(({ checkpoint }) => checkpoint.seq > 41);
  await eventually("a checkpoint counts", async () => expect(counting()).not.toEqual([]));
  const [daemon] = host.daemons;
  if (daemon) daemon.confirmed += 4_096n;
  jobs.stop(record, { mode: "quiesce", cause: "drain" });
  await idle();

  // THEN the first says what was reached when it was taken up, and the last comes after it
  expect(counting()[0]?.checkpoint).toMatchObject({ seq: 42, position: "0/1800000" });
  expect(source.of("release")[0]?.checkpoint).toMatchObject({ seq: 43, position: "0/1801000" });
});

test("R28: a gap that the agent's earlier life may not have told is told again, and moves nothing back", async () => {
  const { host, jobs, source } = worker();
  await leftBehind(host, await new PortPool().take(), { gapAfter: "0/1000028" });
  source.newest = 41;

  await jobs.adopt();
  await eventually("what it has reached is told", async () => expect(source.newest).toBeGreaterThan(41));

  const [gap, ...later] = source.of("progress");
  expect(gap).toMatchObject({ gapAfter: "0/1000028", checkpoint: { seq: 0, phase: "init" } });
  const counting = later.filter(({ checkpoint }) => checkpoint.seq > 41);
  expect(counting.map(({ checkpoint }) => checkpoint.position)).toEqual(["0/1800000"]);
  expect(later.filter(({ gapAfter }) => gapAfter !== undefined)).toEqual([]);
});

test("a job's age counts from when its daemon was started, in whichever life of the agent", async () => {
  const maxJobAgeMs = 3_600_000;
  const { host, jobs, source, idle } = worker({ maxJobAgeMs });
  const { jobId } = await leftBehind(host, await new PortPool().take(), { startedAt: Date.now() - maxJobAgeMs });

  await jobs.adopt();
  await idle();

  expect(source.of("release")).toMatchObject([{ ref: { jobId }, reason: "drain" }]);
});

test("a job whose daemon was started by an agent that did not note when has as long as any other", async () => {
  const { host, jobs, source } = worker({ maxJobAgeMs: 3_600_000 });
  await leftBehind(host, await new PortPool().take());

  await jobs.adopt();
  await eventually("it is looked at", async () => expect(source.of("progress")).not.toEqual([]));

  expect(jobs.running()).toMatchObject([{ status: "running" }]);
});

test("R30: the port of a daemon that was taken up is given to no other, also while nothing listens on it", async () => {
  const port = await new PortPool().take();
  const { host, jobs, source } = worker({ ports: new PortPool({ from: port, to: port }) });
  host.faults = () => ({ deaf: true });
  const { jobId } = await leftBehind(host, port);

  await jobs.adopt();
  jobs.start(grantOf(), 0);
  await eventually("the grant is settled", async () =>
    expect(host.daemons.length + source.of("report").length).toBeGreaterThan(1),
  );

  expect(host.daemons.map(({ launch }) => launch.record.jobId)).toEqual([jobId]);
  expect(source.of("report")[0]?.report.error).toContain("no port is free");
});

test("R25: of a daemon that ended with the lease, whoever ended it, nothing is said but that the job is free", async () => {
  const { host, jobs, lease, source, idle, streaming } = worker();
  const grant = grantOf();
  jobs.start(grant, 0);
  await streaming();

  lease.lapses = 1;
  await host.daemons[0]?.signal("SIGTERM");
  await idle();

  expect([...source.of("report"), ...source.of("release")]).toEqual([]);
  expect(jobs.released.map(({ jobId }) => jobId)).toEqual([grant.jobId]);
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
