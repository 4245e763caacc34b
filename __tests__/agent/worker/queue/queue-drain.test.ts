import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type Aws, AwsError, type AwsParameters } from "../../../../agent/host/aws";
import { createLog } from "../../../../agent/host/log";
import type { AwsRecord } from "../../../../agent/host/xml";
import { PortPool } from "../../../../agent/worker/daemon/free-port";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { queueControlPlane } from "../../../../agent/worker/queue/queue-control-plane";
import { FakeDaemonHost } from "../../../support/fake-dbmazz";
import { useScratch } from "../../../support/scratch";
import { eventually } from "../../daemon/eventually";
import { runQueueWorker } from "./run-queue-worker";

const scratch = useScratch();
const side = {
  engine: "postgres",
  url: "postgres://db.internal/shop",
  secretArn: "arn:aws:secretsmanager:::secret:db",
};

const messageOf = (receipt: string, jobId: string = randomUUID()) => ({
  MessageId: jobId,
  ReceiptHandle: receipt,
  Body: JSON.stringify({ name: "orders", source: side, sink: side, tables: ["orders"] }),
  Attributes: { ApproximateReceiveCount: "1" },
});

/** A queue whose long polls end when the test says so. */
function queue() {
  const calls: { readonly action: string; readonly params: AwsParameters }[] = [];
  const polls: ((...messages: ReturnType<typeof messageOf>[]) => void)[] = [];
  let changed = async () => {};
  let secret: () => Promise<AwsRecord> = async () => ({ SecretString: '{"username":"cdc","password":"p"}' });
  const aws: Pick<Aws, "call"> = {
    call: (_service, action, params = {}) => {
      calls.push({ action, params });
      if (action === "ReceiveMessage") {
        return new Promise((resolve) => {
          polls.push((...messages) => resolve({ Messages: messages } as unknown as AwsRecord));
        });
      }
      if (action === "GetSecretValue") return secret();
      if (action === "ChangeMessageVisibility") return changed().then(() => ({}));
      return Promise.resolve(action === "GetQueueAttributes" ? { Attributes: { RedrivePolicy: "{}" } } : {});
    },
  };
  const held = new HeldMessages(join(scratch.path, "queue.json"));
  const controlPlane = queueControlPlane({ aws, queueUrl: "https://queue", held, log: createLog(() => {}) });
  return {
    calls,
    polls,
    held,
    controlPlane,
    secretIs: (answer: () => Promise<AwsRecord>) => {
      secret = answer;
    },
    /** What happens between a change of a message's visibility and its answer. */
    onChanged: (happens: () => Promise<void>) => {
      changed = happens;
    },
    /** Resolves with the claim's answer to come, once it polls. */
    claim: async (signal: AbortSignal) => {
      const before = polls.length;
      const grants = controlPlane
        .post("claim", { claimId: randomUUID(), freeSlots: 2, waitMs: 0 }, "", { signal })
        .then((answer) => answer.grants);
      await eventually("it polls", async () => expect(polls.length).toBeGreaterThan(before));
      return { grants };
    },
    visible: () =>
      calls
        .filter(({ action, params }) => action === "ChangeMessageVisibility" && params["VisibilityTimeout"] === 0)
        .map(({ params }) => params["ReceiptHandle"]),
  };
}

/** A worker of that queue, on an instance whose terminate hook is completed by `left`. */
function startWorker({ controlPlane }: ReturnType<typeof queue>, host = new FakeDaemonHost()) {
  const stop = new AbortController();
  const left = jest.fn(async () => {});
  const ended = runQueueWorker(
    {
      controlPlane,
      host,
      cloud: {
        ...{ run: async () => {}, unprotect: async () => {}, left },
        ...{ protect: async () => true, isProtectable: async () => true },
      },
    },
    stop.signal,
  );
  return { stop, left, ended };
}

test("SQS: a worker that leaves does not wait for its long poll, and what that brings afterwards is anyone's at once", async () => {
  const sqs = queue();
  const { stop, left, ended } = startWorker(sqs);
  await eventually("it polls", async () => expect(sqs.polls).toHaveLength(1));

  // WHEN
  stop.abort();
  await eventually("the group may go on", async () => expect(left).toHaveBeenCalled());

  // THEN it is there until SQS has nothing more to give to it
  const soon = new Promise((resolve) => setImmediate(() => resolve("still there")));
  expect(await Promise.race([ended, soon])).toBe("still there");
  sqs.polls[0]?.(messageOf("one"), messageOf("two"));
  await ended;
  expect(sqs.visible()).toEqual(["one", "two"]);
  expect(sqs.held.all()).toEqual([]);
  expect(sqs.calls.map(({ action }) => action)).not.toContain("GetSecretValue");
});

test.each([
  ["let go in order before its message's twelve hours are over", 12 * 3_600_000 - 120_000 - 15 * 60_000, ["quiesced"]],
  ["left alone until then", 11 * 3_600_000, []],
])("SQS: a job is %s", async (_, ageMs, quiesced) => {
  // GIVEN a job that an earlier life of the agent has started
  const sqs = queue();
  const host = new FakeDaemonHost();
  const jobId = randomUUID();
  await sqs.held.hold({ jobId, fence: 1, receipt: "quiesced" });
  const record = {
    ...{ jobId, fence: 1, name: "orders", onDisconnect: "stop" as const, startedAt: Date.now() - ageMs },
    ...{ port: await new PortPool().take(), slotName: "slot", tables: ["orders"] },
    ...{ flushIntervalMs: 50, snapshotOnly: false, seq: -1 },
  };
  const daemon = await host.start({ record, variables: { SOURCE_SLOT_NAME: "slot", TABLES: "orders" }, files: {} });
  host.survivors = async () => [daemon];

  // WHEN it is taken up
  const { stop, ended } = startWorker(sqs, host);
  const paths = () => host.requests.map(({ path }) => path);
  if (quiesced.length > 0) await eventually("it is anyone's", async () => expect(sqs.visible()).toEqual(quiesced));
  else
    await eventually("it is looked at twice", async () =>
      expect(paths().filter((path) => path === "GET health")).toHaveLength(2),
    );

  // THEN
  expect(sqs.visible()).toEqual(quiesced);
  expect(paths().filter((path) => path === "POST cdc/pause")).toHaveLength(quiesced.length);
  stop.abort();
  await eventually("it polls no more", async () => {
    for (const end of sqs.polls) end();
    expect(await Promise.race([ended, new Promise((resolve) => setImmediate(() => resolve("not yet")))])).toBe("asked");
  });
  await host.close();
});

test.each([
  ["are read", async () => ({ SecretString: '{"username":"cdc","password":"p"}' })],
  ["cannot be read", () => Promise.reject(new AwsError("secretsmanager", "GetSecretValue", "Unreachable", "", 0))],
])("SQS: a message whose secrets %s while the worker begins to leave is anyone's at once", async (_, outcome) => {
  const { polls, controlPlane, held, claim, visible, secretIs } = queue();
  const leaving = new AbortController();
  secretIs(async () => {
    leaving.abort();
    return await outcome();
  });
  const claimed = await claim(leaving.signal);
  polls[0]?.(messageOf("one"));

  expect(await claimed.grants).toEqual([]);
  await controlPlane.settled?.();
  expect(visible()).toEqual(["one"]);
  expect(held.all()).toEqual([]);
});

test("SQS: a worker that begins to leave before its poll has begun does not poll", async () => {
  const { calls, controlPlane } = queue();
  const leaving = new AbortController();
  const claimed = controlPlane.post("claim", { claimId: randomUUID(), freeSlots: 2, waitMs: 0 }, "", {
    signal: leaving.signal,
  });
  leaving.abort();

  expect((await claimed).grants).toEqual([]);
  await controlPlane.settled?.();
  expect(calls).toEqual([]);
});

test("SQS: a second delivery of a job that runs, to a worker that leaves, is its hold from then on", async () => {
  const { polls, controlPlane, held, claim, visible } = queue();
  const first = await claim(new AbortController().signal);
  polls[0]?.(messageOf("one", "job"));
  await first.grants;
  const leaving = new AbortController();
  const second = await claim(leaving.signal);
  leaving.abort();
  expect(await second.grants).toEqual([]);

  polls[1]?.(messageOf("two", "job"));
  await controlPlane.settled?.();

  expect(held.ofJob("job")).toMatchObject({ receipt: "two" });
  expect(visible()).toEqual([]);
});

test.each([
  ["that runs on", false, 1],
  ["that leaves", true, 0],
])(
  "SQS: a job given back that comes to a poll of the same worker, %s, before the answer, is anyone's soon",
  async (_, leaves, seconds) => {
    const { calls, polls, controlPlane, held, claim, onChanged } = queue();
    const first = await claim(new AbortController().signal);
    polls[0]?.(messageOf("one", "job"));
    const [grant] = await first.grants;
    const leaving = new AbortController();
    const second = await claim(leaving.signal);

    // WHEN
    onChanged(async () => {
      onChanged(async () => {});
      if (leaves) leaving.abort();
      polls[1]?.(messageOf("two", "job"));
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    await controlPlane.post("release", { reason: "drain", jobs: [{ jobId: "job", fence: grant?.fence ?? 0 }] }, "");

    // THEN
    expect(await second.grants).toEqual([]);
    await controlPlane.settled?.();
    expect(held.all()).toEqual([]);
    const changes = calls.filter(({ action }) => action === "ChangeMessageVisibility").map(({ params }) => params);
    expect(changes).toMatchObject([
      { ReceiptHandle: "one", VisibilityTimeout: 0 },
      { ReceiptHandle: "two", VisibilityTimeout: seconds },
    ]);
  },
);

test("SQS: where a job could not be given back, what comes of it meanwhile is the receipt by which that is tried again", async () => {
  const { polls, controlPlane, held, claim, visible, onChanged } = queue();
  const first = await claim(new AbortController().signal);
  polls[0]?.(messageOf("one", "job"));
  const [grant] = await first.grants;
  const release = () =>
    controlPlane.post("release", { reason: "drain", jobs: [{ jobId: "job", fence: grant?.fence ?? 0 }] }, "");
  const second = await claim(new AbortController().signal);

  onChanged(async () => {
    polls[1]?.(messageOf("two", "job"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw new AwsError("sqs", "ChangeMessageVisibility", "Unreachable", "", 0);
  });
  await expect(release()).rejects.toThrow("Unreachable");
  expect(await second.grants).toEqual([]);
  onChanged(async () => {});
  await release();

  expect(visible()).toEqual(["one", "two"]);
  expect(held.all()).toEqual([]);
});
