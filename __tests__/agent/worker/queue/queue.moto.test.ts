import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Aws, type AwsParameters, awsClient } from "../../../../agent/host/aws";
import { createLog } from "../../../../agent/host/log";
import { listOf } from "../../../../agent/host/xml";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { queueControlPlane } from "../../../../agent/worker/queue/queue-control-plane";
import type { Grant } from "../../../../control-plane/protocol";
import { type Emulator, startMoto } from "../../../../scripts/emulator/moto";
import { FakeDaemonHost } from "../../../support/fake-dbmazz";
import { eventually } from "../../daemon/eventually";
import { runQueueWorker } from "./run-queue-worker";

jest.setTimeout(180_000);

const PASSWORD = "canary-p@ss/word";
/** Longer than any test: what becomes visible was given back, not forgotten. */
const VISIBILITY_SECONDS = 3_600;
const RECEIPTS = 3;
let emulator: Emulator;
let directory: string;
let aws: Aws;
let secretArn: string;
let queueUrl: string;
let deadUrl: string;
let queues = 0;
let calls: { action: string; params: AwsParameters }[];
let lines: string[];

beforeAll(async () => {
  emulator = await startMoto();
  directory = mkdtempSync(join(tmpdir(), "holdfast-queue-"));
  const real = awsClient({
    region: "us-east-1",
    credentials: Object.assign(async () => ({ accessKeyId: "AKIATEST", secretAccessKey: "test" }), { forget() {} }),
    environment: { AWS_ENDPOINT_URL: emulator.url },
  });
  aws = {
    ...real,
    call: (service, action, params = {}, options) => {
      // The least that SQS takes: tests do not wait for messages that are not there.
      const hurried = action === "ReceiveMessage" ? { ...params, WaitTimeSeconds: 1 } : params;
      calls.push({ action, params: hurried });
      return real.call(service, action, hurried, { ...options, timeoutMs: 60_000 });
    },
  };
  calls = [];
  const secret = JSON.stringify({ username: "cdc", password: PASSWORD });
  secretArn = String((await aws.call("secretsmanager", "CreateSecret", { Name: "db", SecretString: secret }))["ARN"]);
});
afterAll(async () => {
  await emulator.stop();
  rmSync(directory, { recursive: true });
});
beforeEach(async () => {
  queues += 1;
  const create = async (QueueName: string, Attributes: AwsParameters = {}) =>
    String((await aws.call("sqs", "CreateQueue", { QueueName, Attributes }))["QueueUrl"]);
  deadUrl = await create(`dead-${queues}`);
  const deadLetterTargetArn = `arn:aws:sqs:us-east-1:123456789012:dead-${queues}`;
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: RECEIPTS });
  queueUrl = await create(`jobs-${queues}`, { RedrivePolicy });
  calls = [];
  lines = [];
});

const body = (extra: object = {}) => {
  const side = (name: string) => ({ engine: "postgres", url: `postgres://db.internal:5432/${name}`, secretArn });
  return { name: "orders", source: side("shop"), sink: side("copy"), tables: ["orders"], ...extra };
};
const send = (message: unknown = body()) =>
  aws.call("sqs", "SendMessage", { QueueUrl: queueUrl, MessageBody: JSON.stringify(message) });
/** @param aheadMs of the machine's clocks. */
const worker = (name = "worker", aheadMs = () => 0) =>
  queueControlPlane({
    aws,
    queueUrl,
    held: new HeldMessages(join(directory, `${queues}-${name}.json`)),
    visibilitySeconds: VISIBILITY_SECONDS,
    log: createLog((line) => void lines.push(line)),
    now: () => ({ monotonicMs: performance.now() + aheadMs(), wallMs: Date.now() + aheadMs() }),
  });
type Worker = ReturnType<typeof worker>;
const claim = async (from: Worker, freeSlots = 5): Promise<readonly Grant[]> =>
  (await from.post("claim", { claimId: crypto.randomUUID(), freeSlots, waitMs: 0 }, "")).grants;
const beat = (from: Worker, running: readonly Grant[], released: readonly Grant[] = []) =>
  from.post(
    "heartbeat",
    {
      seq: 1,
      state: "active",
      running: running.map(({ jobId, fence }) => ({ jobId, fence, status: "running", phase: "streaming" })),
      released: released.map(({ jobId, fence }) => ({ jobId, fence })),
    },
    "",
  );
const refOf = ({ jobId, fence }: Grant) => ({ jobId, fence });
const of = (action: string) => calls.filter((call) => call.action === action).map(({ params }) => params);
/** What a worker has written down of the messages that it holds. */
const held = (name: string) =>
  new HeldMessages(join(directory, `${queues}-${name}.json`)).all().map(({ receipt }) => ({ ReceiptHandle: receipt }));
async function deadLetters(): Promise<number> {
  const { Messages } = await aws.call("sqs", "ReceiveMessage", { QueueUrl: deadUrl, MaxNumberOfMessages: 10 });
  return listOf(Messages).length;
}

test("SQS: a message becomes a job with its credentials, is nobody else's while it is held, and is deleted when the job is done", async () => {
  await send();
  const one = worker();
  const [grant] = await claim(one);
  if (!grant) throw new Error("nothing was claimed");
  expect(grant).toMatchObject({ fence: 1, attempt: 1, spec: { name: "orders", onDisconnect: "stop", snapshot: true } });
  expect(grant.spec.source).toMatchObject({ user: "cdc", password: PASSWORD });
  expect(await claim(worker("other"))).toEqual([]);

  await one.post("started", refOf(grant), "");
  const { leaseMs, nextMs, actions } = await beat(one, [grant]);
  // Its time is extended for longer than the lease that this gives, three times within it.
  expect(of("ChangeMessageVisibilityBatch")).toMatchObject([{ Entries: [{ VisibilityTimeout: VISIBILITY_SECONDS }] }]);
  expect(leaseMs).toBeLessThan(VISIBILITY_SECONDS * 1_000);
  expect(nextMs * 3).toBeLessThan(leaseMs);
  expect(actions).toEqual([]);

  await one.post("report", { ...refOf(grant), outcome: "completed", logTail: [] }, "");
  expect(of("DeleteMessage")).toHaveLength(1);
  const { Attributes } = await aws.call("sqs", "GetQueueAttributes", { QueueUrl: queueUrl, AttributeNames: ["All"] });
  expect(Attributes).toMatchObject({ ApproximateNumberOfMessages: "0", ApproximateNumberOfMessagesNotVisible: "0" });
  expect(lines.join("")).not.toContain("canary");
});

test("SQS: what is said again changes nothing, and what is said of a job that is not held is fenced", async () => {
  await send();
  const one = worker();
  const [grant] = await claim(one);
  if (!grant) throw new Error("nothing was claimed");
  await one.post("report", { ...refOf(grant), outcome: "completed", logTail: [] }, "");

  for (const again of [
    () => one.post("report", { ...refOf(grant), outcome: "failed", logTail: [] }, ""),
    () => one.post("started", refOf(grant), ""),
    () => one.post("progress", { ...refOf(grant), checkpoint: { seq: 1, phase: "streaming", position: "0/1" } }, ""),
  ]) {
    await expect(again()).rejects.toMatchObject({ code: "fenced" });
  }
  await one.post("release", { reason: "drain", jobs: [refOf(grant)] }, "");
  expect((await beat(one, [grant])).actions).toEqual([{ kind: "stop", mode: "kill", ...refOf(grant) }]);
  expect(await claim(one)).toEqual([]);
});

test("SQS: a released job goes to another worker at once, under a larger fence, and the first may say no more of it", async () => {
  await send();
  const [one, other] = [worker(), worker("other")];
  const [first] = await claim(one);
  if (!first) throw new Error("nothing was claimed");
  await one.post("release", { reason: "drain", jobs: [refOf(first)] }, "");

  const [second] = await claim(other);
  expect(second).toMatchObject({ jobId: first.jobId, fence: 2 });
  await expect(one.post("started", refOf(first), "")).rejects.toMatchObject({ code: "fenced" });
});

test(`SQS: a message that is no job, and a job that is given back each time, are dead letters after ${RECEIPTS} receipts`, async () => {
  await send(body({ password: PASSWORD }));
  const one = worker();
  expect(await claim(one)).toEqual([]);
  expect(lines.join("")).toContain("password");
  expect(lines.join("")).not.toContain("canary");
  await aws.call("sqs", "PurgeQueue", { QueueUrl: queueUrl });

  await send();
  for (let receipt = 1; receipt <= RECEIPTS; receipt++) {
    const [grant] = await claim(one);
    expect(grant?.fence).toBe(receipt);
    await beat(one, [], grant ? [grant] : []);
  }
  expect(await claim(one)).toEqual([]);
  expect(await deadLetters()).toBe(1);
});

test("SQS: a job that fails is seen again later each time, five minutes at most", async () => {
  await send();
  const one = worker();
  const [grant] = await claim(one);
  if (!grant) throw new Error("nothing was claimed");
  await one.post("report", { ...refOf(grant), outcome: "failed", logTail: [] }, "");
  expect(of("ChangeMessageVisibility").at(-1)).toMatchObject({ VisibilityTimeout: 2 });
});

test("SQS: a message whose daemon did not outlive the agent is given back by the agent's next life, which then runs it", async () => {
  for (const name of ["lost", "kept"]) await send(body({ name }));
  const grants = await claim(worker());
  expect(grants).toHaveLength(2);
  const kept = grants.filter(({ spec }) => spec.name === "kept");

  const next = worker();
  expect((await beat(next, kept)).actions).toEqual([]);

  const again = await claim(next);
  expect(again.map(({ spec, fence }) => [spec.name, fence])).toEqual([["lost", 2]]);
  expect((await beat(next, [...kept, ...again])).actions).toEqual([]);
  expect(await claim(worker("other"))).toEqual([]);
});

test("SQS: until when a message is held is written down with each extension: the agent's next life gives back what still is", async () => {
  await send();
  let aheadMs = 0;
  const clock = () => aheadMs;
  const first = worker("worker", clock);
  await beat(first, []);
  const grants = await claim(first);
  aheadMs = (VISIBILITY_SECONDS * 1_000 * 2) / 3;
  await beat(first, grants);
  aheadMs *= 2;

  await beat(worker("worker", clock), []);

  expect((await claim(worker("other"))).map(({ fence }) => fence)).toEqual([2]);
});

test("SQS: the message of a daemon that is found running is held on, also where its last extension was not written down", async () => {
  await send();
  let aheadMs = 0;
  const clock = () => aheadMs;
  const grants = await claim(worker("worker", clock));
  aheadMs = VISIBILITY_SECONDS * 1_000;
  const next = worker("worker", clock);

  for (const _ of ["first", "second"]) expect((await beat(next, grants)).actions).toEqual([]);
  expect(of("ChangeMessageVisibilityBatch")).toHaveLength(2);
});

describe("SQS: a message whose time ran out, and that another worker has since, stays that one's where the first", () => {
  const refusedAsFenced = { code: "fenced" };

  test.each<[string, (first: Worker, next: () => Worker, grant: Grant) => Promise<unknown>]>([
    ["gives its job back", (first, _, grant) => first.post("release", { reason: "drain", jobs: [refOf(grant)] }, "")],
    ["lists it as released", (first, _, grant) => beat(first, [], [grant])],
    [
      "tells that its job failed",
      (first, _, grant) => first.post("report", { ...refOf(grant), outcome: "failed", logTail: [] }, ""),
    ],
    ["says goodbye", (first) => first.post("deregister", { reason: "the agent leaves" }, "")],
    ["comes back after a power cut", (_, next) => beat(next(), [])],
    [
      "is about to start its daemon",
      (first, _, grant) => expect(first.post("started", refOf(grant), "")).rejects.toMatchObject(refusedAsFenced),
    ],
    [
      "prolongs its hold",
      async (first, _, grant) =>
        expect((await beat(first, [grant])).actions).toEqual([{ kind: "stop", mode: "kill", ...refOf(grant) }]),
    ],
  ])("%s", async (_, act) => {
    // GIVEN a worker that was asleep, or not reached SQS, for longer than it may hold the message
    await send();
    let aheadMs = 0;
    const first = worker("worker", () => aheadMs);
    await beat(first, []);
    const [grant] = await claim(first);
    if (!grant) throw new Error("nothing was claimed");
    const [{ ReceiptHandle = "" } = {}] = held("worker");
    await aws.call("sqs", "ChangeMessageVisibility", { QueueUrl: queueUrl, ReceiptHandle, VisibilityTimeout: 0 });
    const [other] = await claim(worker("other"));
    expect(other?.fence).toBe(2);
    aheadMs = (VISIBILITY_SECONDS - 1) * 1_000;
    calls = [];

    // WHEN
    await act(first, () => worker("worker", () => aheadMs), grant);

    // THEN
    expect(await claim(worker("third"))).toEqual([]);
    expect(calls.map(({ action }) => action)).not.toContain("ChangeMessageVisibility");
    expect(calls.map(({ action }) => action)).not.toContain("ChangeMessageVisibilityBatch");
  });
});

test("SQS: a queue without a redrive policy is refused by name", async () => {
  const registration = {
    protocols: [1],
    workerId: "w",
    sessionId: crypto.randomUUID(),
    agentVersion: "1",
    daemonVersion: "1",
  };
  const register = { ...registration, pool: "p", labels: {}, slots: 1, features: [] };
  await expect(worker().post("register", register, "")).resolves.toMatchObject({ protocol: 1 });
  const bare = queueControlPlane({
    aws,
    queueUrl: deadUrl,
    held: new HeldMessages(join(directory, "bare")),
    log: createLog(() => {}),
  });
  await expect(bare.post("register", register, "")).rejects.toThrow("has no redrive policy");
});

test("SQS: behind the same supervisor a job runs, and a worker that leaves stops it and gives its message back", async () => {
  await send();
  const host = new FakeDaemonHost();
  const stop = new AbortController();
  const running = runQueueWorker(
    { controlPlane: worker(), log: createLog((line) => void lines.push(line)), host },
    stop.signal,
  );
  await eventually("its daemon runs", async () => expect(host.daemons).toHaveLength(1), 60_000);
  stop.abort();
  await running;
  await host.close();

  expect(host.daemons[0]?.slotDropped).toBe(false);
  expect((await claim(worker("next"))).map(({ fence }) => fence)).toEqual([2]);
  expect(lines.join("")).not.toContain("canary");
});
