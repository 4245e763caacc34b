import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { LeaseTiming } from "../../../control-plane/lease/timing";
import { type JobRef, WORKER_PATH } from "../../../control-plane/protocol";
import { eventually } from "../../support/eventually";
import { longForm } from "../../support/long-form";
import type { TestWorker } from "./clients";
import { useControlPlane } from "./use-control-plane";

// Nothing but the broken connection can free a grant: its own deadline and the end of the lease are an hour away.
const plane = useControlPlane({ timing: LeaseTiming.parse({ grantMs: 3_600_000, serverLeaseMs: 3_600_000 }) });

/** Who takes a grant back as soon as its connection is broken: a sweep that finds it unused signs otherwise. */
const NO_SWEEP = "control-plane";

interface Claimed {
  /** What has come of the answer. */
  readonly read: string;
  /** Ends the connection as a machine does that has gone, whatever was not read yet. */
  readonly reset: () => Promise<void>;
}

/** Claims jobs on a connection of its own, from which no more is read once so many bytes of the answer have come, or all of it. */
async function claimOn(worker: TestWorker, freeSlots: number, bytes = Number.POSITIVE_INFINITY): Promise<Claimed> {
  const { hostname, port } = new URL(worker.url);
  const body = JSON.stringify({ claimId: randomUUID(), freeSlots, waitMs: 0 });
  const head = [
    `POST ${WORKER_PATH}claim HTTP/1.1`,
    `host: ${hostname}`,
    `authorization: Bearer ${worker.token}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
  ];
  return await new Promise((resolve, reject) => {
    let read = "";
    const callback = (_: number, [byte = 0]: Uint8Array): boolean => {
      read += String.fromCharCode(byte);
      const [, length, content] = /content-length: (\d+).*?\r\n\r\n(.*)/is.exec(read) ?? [];
      const isOver = read.length === bytes || content?.length === Number(length);
      if (isOver) resolve({ read, reset });
      return !isOver;
    };
    const socket = connect({ port: Number(port), host: hostname, onread: { buffer: new Uint8Array(1), callback } });
    const reset = async (): Promise<void> => {
      const closed = once(socket, "close");
      socket.resetAndDestroy();
      await closed;
    };
    socket.on("error", reject);
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  });
}

const stateOf = async (jobId: string) =>
  (await plane.pool.query<{ state: string; fence: number }>("select state, fence from jobs where id = $1", [jobId]))
    .rows[0];

const CUTS = longForm(12, 2_000);

it(`control-plane 11: a job whose claim was cut at any of ${CUTS} places in the answer is pending again, with one grant for each claim`, async () => {
  const jobId = await plane.operator.createJob("orders");
  const worker = await plane.worker("i-1").open();

  let fence = 0;
  const cut = async (bytes: number): Promise<number> => {
    const { read, reset } = await claimOn(worker, 1, bytes);
    await reset();
    const freed = await eventually(async () => {
      const seen = await stateOf(jobId);
      return seen?.state === "pending" && seen.fence > fence ? seen : undefined;
    });
    fence += 1;
    expect(freed).toEqual({ state: "pending", fence });
    return read.length;
  };
  const whole = await cut(Number.POSITIVE_INFINITY);
  const step = Math.max(1, Math.floor(whole / CUTS));
  for (let bytes = 1; bytes < whole; bytes += step) expect(await cut(bytes)).toBe(bytes);

  const { rows } = await plane.pool.query(
    `select action, split_part(actor, ':', 1) as actor, count(*)::int from audit_log
     where action in ('job.claim', 'job.ungrant') group by 1, 2 order by 1, 2`,
  );
  expect(rows).toEqual([
    { action: "job.claim", actor: "session", count: fence },
    { action: "job.ungrant", actor: NO_SWEEP, count: fence },
  ]);
  expect((await (await plane.worker("i-2").open()).claim()).grants).toMatchObject([{ jobId, fence: fence + 1 }]);
}, 3_600_000);

it("control-plane 8: what a worker was granted and does not list once it drains is another's with that heartbeat, what it lists stays", async () => {
  for (const name of ["orders", "customers"]) await plane.operator.createJob(name);
  const worker = await plane.worker("i-1").open();
  const [lost, begun] = [(await worker.claim()).grants[0], (await worker.claim()).grants[0]].map((grant) => {
    return { jobId: grant?.jobId ?? "", fence: grant?.fence ?? 0 };
  }) as [JobRef, JobRef];
  const running = [{ ...begun, status: "starting", phase: "init" } as const];

  await worker.beat({ running });
  expect(await stateOf(lost.jobId)).toEqual({ state: "starting", fence: 1 });
  await worker.beat({ running, state: "draining" });

  expect(await stateOf(lost.jobId)).toEqual({ state: "pending", fence: 1 });
  expect(await worker.send("started", lost)).toMatchObject({ status: 410 });
  await worker.ask("started", begun);
  await worker.beat({ state: "draining" });
  expect(await stateOf(begun.jobId)).toEqual({ state: "running", fence: 1 });
  const { grants } = await (await plane.worker("i-2").open()).claim();
  expect(grants).toMatchObject([{ jobId: lost.jobId, fence: 2 }]);
});

it("control-plane 11: a reset after the answer takes back what was not started, and nothing that was", async () => {
  const jobs = [await plane.operator.createJob("orders"), await plane.operator.createJob("customers")];
  const worker = await plane.worker("i-1").open();
  const { read, reset } = await claimOn(worker, 2);
  const [started, waiting] = jobs as [string, string];
  for (const jobId of jobs) expect(read).toContain(jobId);
  await worker.ask("started", { jobId: started, fence: 1 });

  await reset();
  await eventually(async () => ((await stateOf(waiting))?.state === "pending" ? true : undefined));

  // A copy that has stopped has nothing under way.
  await plane.copies[0]?.controlPlane.stop();
  expect(await stateOf(started)).toEqual({ state: "running", fence: 1 });
  expect(await stateOf(waiting)).toEqual({ state: "pending", fence: 1 });
  const { rows } = await plane.pool.query("select actor, subject from audit_log where action = 'job.ungrant'");
  expect(rows).toEqual([{ actor: NO_SWEEP, subject: waiting }]);
});
