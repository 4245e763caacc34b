import type { DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";
import { PortPool } from "../../../../agent/worker/daemon/free-port";
import type { FakeDaemonHost } from "../../../support/fake-dbmazz";
import { eventually } from "../../daemon/eventually";
import { grantOf, useWorkers } from "./supervised";

jest.setTimeout(120_000);

const worker = useWorkers();

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

test("R30: a daemon that the agent's earlier life had paused, and did not come to stop, goes on when it is taken up", async () => {
  const { host, jobs } = worker();
  await leftBehind(host, await new PortPool().take());
  const [daemon] = host.daemons;
  if (daemon) daemon.state = "paused";

  await jobs.adopt();

  await eventually("it goes on", async () => expect(daemon?.state).toBe("running"));
  expect(host.requests.filter(({ path }) => path === "POST cdc/resume")).toHaveLength(1);
});

test("R30: one that is to end by then is not told to go on", async () => {
  const { host, jobs, idle } = worker();
  const record = await leftBehind(host, await new PortPool().take());
  const [daemon] = host.daemons;
  if (daemon) daemon.state = "paused";

  await jobs.adopt();
  jobs.stop(record, { mode: "quiesce", cause: "drain" });
  await idle();

  expect(host.requests.map(({ path }) => path)).not.toContain("POST cdc/resume");
});

test("a daemon that somebody pauses while it is looked after stays paused", async () => {
  const { host, jobs, streaming } = worker();
  await leftBehind(host, await new PortPool().take());
  await jobs.adopt();
  await streaming();
  const [daemon] = host.daemons;
  if (daemon) daemon.state = "paused";
  const looks = () => host.requests.filter(({ path }) => path === "GET cdc/status").length;
  const before = looks();
  await eventually("it is looked at", async () => expect(looks()).toBeGreaterThan(before + 1));

  expect(daemon?.state).toBe("paused");
});
