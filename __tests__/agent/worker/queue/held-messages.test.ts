import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createLog, reason } from "../../../../agent/host/log";
import type { AwsRecord } from "../../../../agent/host/xml";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { queueControlPlane } from "../../../../agent/worker/queue/queue-control-plane";
import { useScratch } from "../../../support/scratch";
import { unreadable } from "../../../support/unreadable";

const scratch = useScratch();
afterEach(() => jest.restoreAllMocks());

const side = { engine: "postgres", url: "postgres://db/shop", secretArn: "arn:aws:secretsmanager:::secret:db" };
const messageOf = (receipt: string, jobId: string) => ({
  MessageId: jobId,
  ReceiptHandle: receipt,
  Body: JSON.stringify({ name: "orders", source: side, sink: side, tables: ["orders"] }),
});

/** A worker's claims from a queue that has these messages for one poll after the other. */
function queueOf(held: HeldMessages, ...polls: ReturnType<typeof messageOf>[][]) {
  const asked: string[] = [];
  const call = async (_service: string, action: string) => {
    asked.push(action);
    if (action === "GetSecretValue") return { SecretString: '{"username":"cdc","password":"p"}' };
    return { Messages: action === "ReceiveMessage" ? polls.shift() : [] } as unknown as AwsRecord;
  };
  const controlPlane = queueControlPlane({ aws: { call }, queueUrl: "https://queue", held, log: createLog(() => {}) });
  const claim = async () =>
    (await controlPlane.post("claim", { claimId: randomUUID(), freeSlots: 10, waitMs: 0 }, "")).grants;
  return { asked, claim };
}

test("SQS: a message that cannot be written down is not held: it is not taken for a second delivery when it comes again", () => {
  const path = join(scratch.path, "absent", "queue.json");
  const held = new HeldMessages(path);
  const message = { jobId: "job", fence: 1, receipt: "receipt" };

  expect(() => held.hold(message)).toThrow("ENOENT");
  expect(held.ofJob("job")).toBeUndefined();

  mkdirSync(dirname(path));
  held.hold(message);
  expect(new HeldMessages(path).all()).toEqual([message]);
});

test("SQS: a worker that can write nothing down receives nothing, since each message that it had to refuse would have a receipt more", async () => {
  const directory = join(scratch.path, "absent");
  const { asked, claim } = queueOf(new HeldMessages(join(directory, "queue.json")), [messageOf("r", randomUUID())]);

  await expect(claim()).rejects.toThrow(/nothing is received while it cannot be written down: .*ENOENT/);
  expect(asked).toEqual([]);

  mkdirSync(directory);
  expect(await claim()).toHaveLength(1);
});

test("SQS: a job runs although the newer receipt of another, which came with it, could not be written down", async () => {
  const held = new HeldMessages(join(scratch.path, "queue.json"));
  const [running, fresh] = [randomUUID(), randomUUID()];
  const { claim } = queueOf(held, [messageOf("first", running)], [messageOf("again", running), messageOf("r", fresh)]);
  await claim();
  jest.spyOn(held, "hold").mockImplementationOnce(() => {
    throw new Error("ENOSPC");
  });

  expect((await claim()).map(({ jobId }) => jobId)).toEqual([fresh]);
  expect(held.ofJob(running)).toMatchObject({ receipt: "first" });
});

test.each(["EIO", "EMFILE", "EACCES"])(
  "SQS: a file of held messages that cannot be read (%s) is told with what to do, and not taken for none held",
  (code) => {
    const path = join(scratch.path, "queue.json");
    const message = { jobId: "job", fence: 1, receipt: "receipt" };
    new HeldMessages(path).hold(message);
    unreadable(path, code);

    let told: unknown;
    try {
      new HeldMessages(path);
    } catch (error) {
      told = error;
    }
    expect(reason(told)).toBe(
      `${path} cannot be read: it names the messages that are held: make it readable and start the agent again, or remove it to have their jobs ended and handed out anew: ${code}: ${path}`,
    );

    jest.restoreAllMocks();
    expect(new HeldMessages(path).all()).toEqual([message]);
  },
);

test.each(["", '[{"jobId":"jo'])("SQS: a file of held messages that a power cut tore (%j) names none", (text) => {
  const path = join(scratch.path, "queue.json");
  writeFileSync(path, text);

  expect(new HeldMessages(path).all()).toEqual([]);
});
