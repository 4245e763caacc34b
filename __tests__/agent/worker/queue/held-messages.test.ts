import { randomUUID } from "node:crypto";
import { fstatSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
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

/** A path below what is a file until `allow`. */
function unwritable(): { readonly path: string; readonly allow: () => void } {
  const directory = join(scratch.path, "state");
  writeFileSync(directory, "");
  return { path: join(directory, "queue.json"), allow: () => rmSync(directory) };
}

/** What each fsync that began has made durable: a file's text, or what stands at `path` when its directory is told. */
async function syncsOf(path: string): Promise<string[]> {
  const handle = await open(scratch.path, "r");
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const { sync } = prototype;
  const synced: string[] = [];
  jest.spyOn(prototype, "sync").mockImplementation(async function (this: FileHandle) {
    await sync.call(this);
    synced.push(fstatSync(this.fd).isDirectory() ? `entry of ${readFileSync(path, "utf8")}` : "content");
  });
  return synced;
}

test("SQS: a message is held, and forgotten, once its file and the entry of it are on the disk", async () => {
  const path = join(scratch.path, "queue.json");
  const held = new HeldMessages(path);
  const message = { jobId: "job", fence: 1, receipt: "receipt" };
  const synced = await syncsOf(path);

  await held.hold(message);
  expect(synced.splice(0)).toEqual(["content", `entry of ${JSON.stringify([message])}`]);

  await held.forget(message);
  expect(synced).toEqual(["content", "entry of []"]);
});

test("SQS: messages that come at once are all written down", async () => {
  const path = join(scratch.path, "queue.json");
  const held = new HeldMessages(path);
  const messages = Array.from({ length: 10 }, (_, at) => ({ jobId: `job ${at}`, fence: 1, receipt: `${at}` }));

  await Promise.all(messages.map((message) => held.hold(message)));

  expect(new HeldMessages(path).all()).toEqual(messages);
});

test("SQS: a job that ends while its newer receipt is written down is held no more", async () => {
  const path = join(scratch.path, "queue.json");
  const held = new HeldMessages(path);
  const message = { jobId: "job", fence: 1, receipt: "first" };
  await held.hold(message);

  await Promise.all([held.hold({ ...message, receipt: "second" }), held.forget(message)]);

  expect([held.all(), new HeldMessages(path).all()]).toEqual([[], []]);
});

test("SQS: a message that cannot be written down is not held: it is not taken for a second delivery when it comes again", async () => {
  const { path, allow } = unwritable();
  const held = new HeldMessages(path);
  const message = { jobId: "job", fence: 1, receipt: "receipt" };

  await expect(held.hold(message)).rejects.toThrow("EEXIST");
  expect(held.ofJob("job")).toBeUndefined();

  allow();
  await held.hold(message);
  expect(new HeldMessages(path).all()).toEqual([message]);
});

test("SQS: a worker that can write nothing down receives nothing, since each message that it had to refuse would have a receipt more", async () => {
  const { path, allow } = unwritable();
  const { asked, claim } = queueOf(new HeldMessages(path), [messageOf("r", randomUUID())]);

  await expect(claim()).rejects.toThrow(/nothing is received while it cannot be written down: .*EEXIST/);
  expect(asked).toEqual([]);

  allow();
  expect(await claim()).toHaveLength(1);
});

test("SQS: a job runs although the newer receipt of another, which came with it, could not be written down", async () => {
  const held = new HeldMessages(join(scratch.path, "queue.json"));
  const [running, fresh] = [randomUUID(), randomUUID()];
  const { claim } = queueOf(held, [messageOf("first", running)], [messageOf("again", running), messageOf("r", fresh)]);
  await claim();
  jest.spyOn(held, "hold").mockRejectedValueOnce(new Error("ENOSPC"));

  expect((await claim()).map(({ jobId }) => jobId)).toEqual([fresh]);
  expect(held.ofJob(running)).toMatchObject({ receipt: "first" });
});

test.each(["EIO", "EMFILE", "EACCES"])(
  "SQS: a file of held messages that cannot be read (%s) is told with what to do, and not taken for none held",
  async (code) => {
    const path = join(scratch.path, "queue.json");
    const message = { jobId: "job", fence: 1, receipt: "receipt" };
    await new HeldMessages(path).hold(message);
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

test.each(["", '[{"jobId":"jo'])("SQS: a file of held messages that is torn (%j) names none", (text) => {
  const path = join(scratch.path, "queue.json");
  writeFileSync(path, text);

  expect(new HeldMessages(path).all()).toEqual([]);
});

test.each([
  [5, undefined, "2.4 days (5 receipts of 11.7 h)"],
  [5, 21_600, "1.2 days (5 receipts of 5.8 h)"],
  ["61", undefined, "29.8 days (61 receipts of 11.7 h)"],
  [62, undefined, undefined],
  [1_000, 21_600, undefined],
])(
  "SQS: a redrive policy of %s receipts, with a visibility of %s s, is told to make an endless job a dead letter after %s",
  async (maxReceiveCount, visibilitySeconds, told) => {
    const lines: string[] = [];
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: "dead", maxReceiveCount });
    const worker = queueControlPlane({
      aws: { call: async () => ({ Attributes: { RedrivePolicy } }) },
      queueUrl: "https://queue",
      held: new HeldMessages(join(scratch.path, "queue.json")),
      log: createLog((line) => void lines.push(line)),
      ...(visibilitySeconds === undefined ? {} : { visibilitySeconds }),
    });
    const described = { workerId: "w", sessionId: randomUUID(), agentVersion: "1", daemonVersion: "1", pool: "p" };
    await worker.post("register", { protocols: [1], ...described, labels: {}, slots: 1, features: [] }, "");

    const message =
      "endless jobs become dead letters: raise maxReceiveCount, which SQS takes up to 1000, or give them a control plane";
    const warned = lines
      .map((line) => JSON.parse(line))
      .map(({ level, message, after }) => ({ level, message, after }));
    expect(warned).toEqual(told === undefined ? [] : [{ level: "warn", message, after: told }]);
  },
);
