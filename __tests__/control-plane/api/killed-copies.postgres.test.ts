import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { WORKER_PATH } from "../../../control-plane/protocol";
import { eventually } from "../../support/eventually";
import { longForm } from "../../support/long-form";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { Operator, send, TestWorker } from "./clients";

const KILLS = longForm(1, 200);
const JOBS = 4;
const ACKED_BETWEEN_KILLS = 25 * JOBS;

let postgres: TestPostgres;
let copies: ChildProcess[] = [];
let isOver = false;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterEach(() => {
  isOver = true;
  for (const copy of copies) copy.kill("SIGKILL");
  copies = [];
});
afterAll(() => postgres.stop(), 60_000);

interface Copy {
  readonly url: string;
  readonly kill: () => Promise<void>;
}

/** A copy of the control plane in a process of its own; nothing it gave out runs out. */
async function startCopy(databaseUrl: string): Promise<Copy> {
  const copy = spawn(process.execPath, ["--import", "tsx", "control-plane/main.ts"], {
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      HOLDFAST_KEYRING: `k1:${"11".repeat(32)}`,
      HOLDFAST_PORT: "0",
      HOLDFAST_SERVER_LEASE_MS: "86400000",
    },
  });
  copies.push(copy);
  let said = "";
  for (const stream of [copy.stdout, copy.stderr]) stream.on("data", (part) => (said += String(part)));
  const url = await eventually(async () => {
    if (copy.exitCode !== null) throw new Error(said);
    return /"url":"([^"]+)"/.exec(said)?.[1];
  });
  const kill = async (): Promise<void> => {
    const gone = once(copy, "exit");
    copy.kill("SIGKILL");
    await gone;
  };
  return { url, kill };
}

/** The daemon of one job, whose worker has a checkpoint acknowledged after the other by whichever copy answers. */
class Writer {
  /** The newest that was acknowledged. */
  acked = 0;
  private constructor(
    readonly jobId: string,
    readonly worker: TestWorker,
  ) {}

  static async start({ url, deploymentToken }: Operator, workerId: string): Promise<Writer> {
    const worker = await new TestWorker(url, deploymentToken, workerId).open();
    const [grant] = (await worker.claim()).grants;
    if (!grant) throw new Error("nothing to claim");
    await worker.ask("started", { jobId: grant.jobId, fence: grant.fence });
    return new Writer(grant.jobId, worker);
  }

  async write(urlOf: () => string): Promise<void> {
    for (let seq = 1; !isOver; seq = this.acked + 1) {
      const checkpoint = { seq, phase: "streaming", position: `0/${seq}` };
      const message = { jobId: this.jobId, fence: 1, checkpoint };
      const reply = await send(urlOf(), `${WORKER_PATH}progress`, this.worker.token, message).catch(() => undefined);
      if (reply?.status === 200) this.acked = reply.body.seq;
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

it(`control-plane 10: no checkpoint that was acknowledged is lost when the copy that took it is killed, of ${KILLS}, and a resumed job gets the last`, async () => {
  const { url: databaseUrl, pool } = await postgres.freshDatabase();
  // GIVEN a copy, and another to go on with
  let [current, next] = (await Promise.all([startCopy(databaseUrl), startCopy(databaseUrl)])) as [
    Copy,
    Promise<Copy> | Copy,
  ];
  const operator = await Operator.create(current.url, databaseUrl);
  for (let job = 0; job < JOBS; job++) await operator.createJob(`job-${job}`);
  const writers = await Promise.all(Array.from({ length: JOBS }, (_, index) => Writer.start(operator, `i-${index}`)));
  const acked = () => writers.reduce((sum, writer) => sum + writer.acked, 0);
  const writing = writers.map((writer) => writer.write(() => current.url));

  for (let kill = 1; kill <= KILLS; kill++) {
    const goal = acked() + ACKED_BETWEEN_KILLS;
    await eventually(async () => (acked() >= goal ? true : undefined));
    const heir = await next;
    await current.kill();
    const told = new Map(writers.map(({ jobId, acked }) => [jobId, acked]));
    const { rows } = await pool.query("select id, checkpoint_seq as seq, checkpoint_position as position from jobs");
    const lost = rows.filter(({ id, seq }) => seq < (told.get(id) ?? 0));
    expect([kill, lost]).toEqual([kill, []]);
    expect(rows.map(({ position }) => position)).toEqual(rows.map(({ seq }) => `0/${seq}`));
    current = heir;
    if (kill < KILLS) next = startCopy(databaseUrl);
  }

  const before = new Map(writers.map((writer) => [writer, writer.acked]));
  await eventually(async () =>
    writers.every((writer) => writer.acked > (before.get(writer) ?? 0)) ? true : undefined,
  );
  isOver = true;
  await Promise.all(writing);
  const [first] = writers as [Writer];
  const released = { reason: "drain", jobs: [{ jobId: first.jobId, fence: 1 }] };
  expect(await send(current.url, `${WORKER_PATH}release`, first.worker.token, released)).toMatchObject({ status: 200 });
  const successor = await new TestWorker(current.url, operator.deploymentToken, "i-9").open();
  const { seq, position } = { seq: first.acked, position: `0/${first.acked}` };
  expect((await successor.claim(5_000)).grants).toMatchObject([
    { jobId: first.jobId, fence: 2, resume: { seq, position } },
  ]);
}, 3_600_000);
