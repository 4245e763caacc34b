import type { DaemonProgram } from "../../../../agent/worker/daemon/quirks";
import type { MessageName } from "../../../../control-plane/protocol";
import { startVirtualAgent } from "../../../control-plane/lease/virtual-agent";
import { eventually } from "../../daemon/eventually";
import { grantOf, PASSWORD, useWorkers } from "./supervised";

jest.setTimeout(120_000);

const worker = useWorkers();

/** What a control plane that has no work answers. */
const ANSWERS: Partial<Record<MessageName, object>> = {
  register: { protocol: 1, token: "session", progressMs: 30_000, metricsMs: 60_000 },
  heartbeat: { leaseMs: 15_000, nextMs: 5_000, actions: [] },
};

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

describe("R27: the end of a job that is to copy its tables and no more, with status 0,", () => {
  const copyOnly = () => grantOf({ spec: { snapshot: true, options: { INITIAL_SNAPSHOT_ONLY: "true" } } });
  const ENDED = { status: 0, signal: null };

  const COMPLETE =
    "INFO dbmazz::engine::snapshot::worker: Snapshot complete: 5 chunks, 9 rows synced in 0.1s (90 rows/sec)";

  /** Ends a daemon after a look at it, or before. */
  async function ended(daemon: DaemonProgram, isSeen: boolean, output: readonly string[]) {
    const { host, jobs, source, idle, streaming } = worker({ daemon });
    host.faults = () => ({ chunks: { done: 3, total: 5 } });
    jobs.start(copyOnly(), 0);
    if (isSeen) await streaming();
    await eventually("it has started", async () => expect(host.daemons).toHaveLength(1));
    host.daemons[0]?.output.push(...output);
    await host.daemons[0]?.end(ENDED);
    await idle();
    return source.of("report").map(({ report }) => report);
  }

  const DBMAZZ: DaemonProgram = { kind: "dbmazz", version: "2.4.0" };

  test.each<[string, DaemonProgram, string[]]>([
    ["of a dbmazz whose output says so", DBMAZZ, [COMPLETE, "CDC shutdown complete"]],
    ["of a reference daemon, which ends so for no other reason", { kind: "reference", version: "0.1.0" }, []],
  ])("is its completion: %s", async (_, program, output) => {
    expect(await ended(program, false, output)).toMatchObject([{ outcome: "completed", exitCode: 0 }]);
  });

  test.each<[string, boolean, string]>([
    ["in the middle of its copy, as where its stream breaks", true, "3 of 5 chunks"],
    ["before anybody has looked at it", false, "no chunk"],
  ])("is a failure of a dbmazz that ended %s: it ends so whatever happened", async (_, isSeen, seen) => {
    const [report] = await ended(DBMAZZ, isSeen, ["ERROR Replication stream error", "CDC shutdown complete"]);

    expect(report).toMatchObject({ outcome: "failed", exitCode: 0 });
    expect(report?.error).toContain("nothing shows that its copy was complete");
    expect(report?.error).toContain(seen);
  });

  test.each(["stopped", "draining", "paused"] as const)(
    "is a failure where the daemon was last seen %s",
    async (state) => {
      // GIVEN one whose sink failed, or that somebody else has told to end
      const { host, jobs, source, idle, streaming } = worker();
      jobs.start(copyOnly(), 0);
      await streaming();
      const [daemon] = host.daemons;
      if (daemon) daemon.state = state;
      const looks = () => host.requests.filter(({ path }) => path === "GET cdc/metrics").length;
      const looked = looks();
      await eventually("that is seen", async () => expect(looks()).toBeGreaterThan(looked + 1));

      // WHEN
      await daemon?.end(ENDED);
      await idle();

      // THEN
      const error = `the daemon ended unasked (status 0) before its copy was complete: it was last seen ${state}`;
      expect(source.of("report")).toMatchObject([{ report: { outcome: "failed", exitCode: 0, error } }]);
    },
  );
});

test("R28: a start after the first, of a PostgreSQL job on a daemon that makes its slot anew, copies again and is told as a possible gap", async () => {
  const { host, jobs, lines, source } = worker({ slots: 5 });
  const resume = { seq: 7, phase: "streaming" as const, position: "0/1800028" };
  const first = grantOf({ fence: 1 });
  const restarted = grantOf({ fence: 2, attempt: 2, resume });
  // A queue keeps no positions, and its count of receipts is approximate.
  const unknown = grantOf({ fence: 2, attempt: 2 });
  const miscounted = grantOf({ fence: 1, resume });
  const mysql = grantOf({
    fence: 2,
    resume,
    spec: {
      source: { engine: "mysql", url: "mysql://db.internal:3306/shop", user: "cdc", password: PASSWORD, options: {} },
    },
  });
  for (const grant of [first, restarted, unknown, miscounted, mysql]) jobs.start(grant, 0);
  await eventually("all have started", async () => expect(host.daemons).toHaveLength(5));
  const gaps = () => source.of("progress").filter(({ gapAfter }) => gapAfter !== undefined);
  await eventually("the gaps are told", async () => expect(gaps()).toHaveLength(3));

  const copies = new Map(host.daemons.map(({ launch }) => [launch.record.jobId, launch.variables["DO_SNAPSHOT"]]));
  expect(copies.get(first.jobId)).toBe("false");
  for (const { jobId } of [restarted, unknown, miscounted]) expect(copies.get(jobId)).toBe("true");
  expect(copies.get(mysql.jobId)).toBe("false");
  const told = new Map(gaps().map(({ ref, gapAfter, checkpoint }) => [ref.jobId, [gapAfter, checkpoint.seq]]));
  expect(told.get(restarted.jobId)).toEqual(["0/1800028", 8]);
  expect(told.get(unknown.jobId)).toEqual(["", 0]);
  expect(told.get(miscounted.jobId)).toEqual(["0/1800028", 8]);
  const said = lines.filter((line) => line.includes("changes may be missing"));
  expect(said.filter((line) => line.includes('"lastConfirmed":"not known"'))).toHaveLength(1);
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

  test.each([0, 13_700, 80_300])(
    "a setup that fails %i ms after the start is told within 15 s of that",
    async (lastsMs) => {
      jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] });
      try {
        const toldAt: number[] = [];
        const failsAt = performance.now() + lastsMs;
        const offered = [grantOf()];
        const { leave } = startVirtualAgent(
          async (name) => {
            if (name === "report") toldAt.push(performance.now());
            if (name === "claim") return { grants: offered.splice(0), nextMs: 1_000, actions: [] } as never;
            return (ANSWERS[name] ?? {}) as never;
          },
          undefined,
          () => ({ stage: "setup", error_detail: performance.now() < failsAt ? "" : "no publication" }),
        );
        await jest.advanceTimersByTimeAsync(lastsMs + 60_000);

        expect(toldAt).toHaveLength(1);
        expect(toldAt[0]).toBeGreaterThan(failsAt);
        expect((toldAt[0] ?? Number.NaN) - failsAt).toBeLessThanOrEqual(15_000);
        await leave();
      } finally {
        jest.useRealTimers();
      }
    },
  );

  test("a snapshot that failed is told at the first look, of which the daemon streams on as if it had its rows, and it is killed", async () => {
    const { host, jobs, source, idle } = worker();
    host.faults = () => ({ snapshotFailed: true });
    jobs.start(grantOf({ spec: { snapshot: true } }), 0);
    await eventually("it is told", async () => expect(source.of("report")).toHaveLength(1));
    await idle();

    expect(host.requests.filter(({ path }) => path === "GET health")).toHaveLength(1);
    const error =
      "the snapshot failed, rows are missing in the sink: Replicating (snapshot incomplete); the daemon's log has its reason";
    expect(source.of("report")).toMatchObject([{ report: { outcome: "failed", error } }]);
    expect(source.of("progress")).toEqual([]);
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

  test.each(["quiesce", "cleanup"] as const)(
    "an order (%s) that comes before the daemon was known tells nothing to another one on its port",
    async (mode) => {
      const { host, jobs, idle } = worker();
      host.faults = ({ record }) => {
        jobs.stop(record, { mode, cause: "order" });
        return { answersAs: { slotName: "somebody_else", tables: record.tables } };
      };
      jobs.start(grantOf(), 0);
      await idle();

      expect(host.requests.filter(({ path }) => path.startsWith("POST"))).toEqual([]);
      expect(host.daemons[0]?.signals).toEqual(["SIGTERM"]);
    },
  );
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
