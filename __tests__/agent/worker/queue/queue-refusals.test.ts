import { join } from "node:path";
import { AwsError, type AwsParameters } from "../../../../agent/host/aws";
import { createLog } from "../../../../agent/host/log";
import type { AwsRecord } from "../../../../agent/host/xml";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { queueControlPlane } from "../../../../agent/worker/queue/queue-control-plane";
import { useScratch } from "../../../support/scratch";

const scratch = useScratch();
const REF = { jobId: "6f1c1a52-7f0e-4c86-9f5e-0a3c6d1f2b47", fence: 12 };
const VISIBILITY_SECONDS = 120;

/** A worker that holds a message under its twelfth receipt, of a queue that answers so. */
async function holding(answer: (action: string) => AwsRecord = () => ({})) {
  const calls: { readonly action: string; readonly params: AwsParameters }[] = [];
  const call = async (_: string, action: string, params: AwsParameters = {}) => {
    calls.push({ action, params });
    return answer(action);
  };
  const held = new HeldMessages(join(scratch.path, "queue.json"));
  await held.hold({ ...REF, receipt: "receipt" });
  const { post } = queueControlPlane({ aws: { call }, queueUrl: "https://queue", held, log: createLog(() => {}) });
  const running = [{ ...REF, status: "running" as const, phase: "streaming" as const }];
  const beat = () => post("heartbeat", { seq: 1, state: "active", running, released: [] }, "");
  return { beat, calls, held, post };
}

const failed = (SenderFault: boolean) => (action: string) =>
  (action === "ChangeMessageVisibilityBatch"
    ? { Failed: [{ Id: "0", SenderFault, Code: "Failed", Message: "not extended" }] }
    : {}) as unknown as AwsRecord;

test("SQS: a message that is somebody else's by the time that it is to be extended is held no more, and its daemon is to end", async () => {
  const { beat, held } = await holding(failed(true));

  expect((await beat()).actions).toEqual([{ kind: "stop", mode: "kill", ...REF }]);
  expect(held.all()).toEqual([]);
});

test("SQS: a fault of the queue's own in extending one message renews no lease, and costs no job", async () => {
  const { beat, held } = await holding(failed(false));

  await expect(beat()).rejects.toMatchObject({ status: 0, message: expect.stringContaining("not extended") });
  expect(held.of(REF)).toBeDefined();
});

test("SQS: a call that AWS refuses, for want of rights, say, says nothing against the session", async () => {
  const { beat } = await holding(() => {
    throw new AwsError("sqs", "ChangeMessageVisibilityBatch", "AccessDenied", "no", 403);
  });

  await expect(beat()).rejects.toMatchObject({ status: 503 });
});

test("SQS: a start has the whole of a message's time before it, and a job that failed often waits for five minutes at most", async () => {
  const { calls, post } = await holding();

  await post("started", REF, "");
  await post("report", { ...REF, outcome: "failed", logTail: [] }, "");

  expect(calls.map(({ params }) => params["VisibilityTimeout"])).toEqual([VISIBILITY_SECONDS, 300]);
});

test("SQS: a start whose message is somebody else's by then is fenced", async () => {
  const { held, post } = await holding(() => {
    throw new AwsError("sqs", "ChangeMessageVisibility", "ReceiptHandleIsInvalid", "no", 404);
  });

  await expect(post("started", REF, "")).rejects.toMatchObject({ status: 410, code: "fenced" });
  expect(held.all()).toEqual([]);
});

test.each(["canary-in-plain-text", '{"username":"cdc","password":"canary', '"canary"', "[]"])(
  "SQS: a secret that is no object with username and password (%j) is told by its name, and none of it",
  async (SecretString) => {
    const lines: string[] = [];
    const secretArn = "arn:aws:secretsmanager:::secret:db";
    const side = { engine: "postgres", url: "postgres://db/shop", secretArn };
    const message = {
      MessageId: REF.jobId,
      ReceiptHandle: "receipt",
      Body: JSON.stringify({ name: "orders", source: side, sink: side, tables: ["orders"] }),
    };
    const { post } = queueControlPlane({
      aws: { call: async (_, action) => ({ SecretString, Messages: action === "ReceiveMessage" ? [message] : [] }) },
      queueUrl: "https://queue",
      held: new HeldMessages(join(scratch.path, "queue.json")),
      log: createLog((line) => void lines.push(line)),
    });

    expect((await post("claim", { claimId: REF.jobId, freeSlots: 1, waitMs: 0 }, "")).grants).toEqual([]);

    const told = `${secretArn} holds no JSON object with username and password`;
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual([told]);
  },
);
