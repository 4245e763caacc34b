import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Aws } from "../../../../agent/host/aws";
import { createLog } from "../../../../agent/host/log";
import type { AwsRecord } from "../../../../agent/host/xml";
import type { DaemonHost } from "../../../../agent/worker/daemon/daemon-host";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { queueControlPlane } from "../../../../agent/worker/queue/queue-control-plane";
import { FakeDaemonHost } from "../../../support/fake-dbmazz";
import { useScratch } from "../../../support/scratch";
import { eventually } from "../../daemon/eventually";
import { runQueueWorker } from "./run-queue-worker";

jest.setTimeout(60_000);

let leave: () => Promise<void>;
afterEach(() => leave());
// Its hook comes after the one above.
const scratch = useScratch();
const side = { engine: "postgres", url: "postgres://db/shop", secretArn: "arn:aws:secretsmanager:::secret:db" };

/** A queue of one message, which comes to a poll as soon as it is visible, before whoever made it so has an answer. */
class OneMessage {
  receipts = 0;
  private readonly id = randomUUID();
  private visibleAt = 0;
  private changed: (() => void)[] = [];

  /** @param counted what SQS says of the number of receipts, which is approximate. */
  constructor(private readonly counted: (receipts: number) => number) {}

  readonly call: Aws["call"] = async (_service, action, params = {}) => {
    if (action === "GetSecretValue") return { SecretString: '{"username":"cdc","password":"p"}' };
    if (action === "GetQueueAttributes") return { Attributes: { RedrivePolicy: "{}" } };
    if (action === "ReceiveMessage") return await this.received(Number(params["VisibilityTimeout"]));
    if (action === "ChangeMessageVisibility") {
      this.visibleAt = performance.now() + Number(params["VisibilityTimeout"]) * 1_000;
      for (const changed of this.changed.splice(0)) changed();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return {};
  };

  /** Ends the polls. */
  close(): void {
    this.visibleAt = Number.POSITIVE_INFINITY;
    for (const changed of this.changed.splice(0)) changed();
  }

  private async received(visibilitySeconds: number): Promise<AwsRecord> {
    while (performance.now() < this.visibleAt) {
      if (this.visibleAt === Number.POSITIVE_INFINITY) return {};
      const waits = new Promise<void>((resolve) => this.changed.push(resolve));
      const timer = setTimeout(() => this.changed.shift()?.(), this.visibleAt - performance.now());
      await waits;
      clearTimeout(timer);
    }
    this.receipts += 1;
    this.visibleAt = performance.now() + visibilitySeconds * 1_000;
    const message = {
      MessageId: this.id,
      ReceiptHandle: `receipt ${this.receipts}`,
      Body: JSON.stringify({ name: "orders", source: side, sink: side, tables: ["orders"] }),
      Attributes: { ApproximateReceiveCount: `${this.counted(this.receipts)}` },
    };
    return { Messages: [message] } as unknown as AwsRecord;
  }
}

/** A worker whose daemons leave something behind that takes long to remove; their jobs are let go after a second. */
function startWorker(queue: OneMessage, forgetMs: number) {
  const daemons = new FakeDaemonHost();
  const host: DaemonHost = {
    survivors: async () => [],
    start: async (launch) => ({
      ...(await daemons.start(launch)),
      forget: () => new Promise((resolve) => setTimeout(resolve, forgetMs)),
    }),
  };
  const log = createLog(() => {});
  const held = new HeldMessages(join(scratch.path, "queue.json"));
  const stop = new AbortController();
  const ended = runQueueWorker(
    {
      controlPlane: queueControlPlane({ aws: queue, queueUrl: "https://queue", held, log }),
      log,
      host,
      maxJobAgeMs: 1_000,
    },
    stop.signal,
  );
  leave = async () => {
    stop.abort();
    queue.close();
    await ended;
    await daemons.close();
  };
  return daemons;
}

test("SQS: a job that comes back to its worker with the number of receipts that it had, while that still clears up after it, runs again", async () => {
  const queue = new OneMessage(() => 1);
  const { daemons } = startWorker(queue, 3_000);

  await eventually("it runs again", async () => expect(daemons.length).toBeGreaterThanOrEqual(2), 30_000);

  const [first = 0, second = 0] = daemons.map(({ launch }) => launch.record.fence);
  expect(second).toBeGreaterThan(first);
});
