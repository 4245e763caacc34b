import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type Aws, AwsError, type AwsParameters } from "../../../../agent/host/aws";
import { createLog } from "../../../../agent/host/log";
import type { AwsRecord } from "../../../../agent/host/xml";
import { runAgent } from "../../../../agent/worker/agent";
import { daemonApi } from "../../../../agent/worker/daemon/daemon-api";
import { PortPool } from "../../../../agent/worker/daemon/free-port";
import { daemonQuirks } from "../../../../agent/worker/daemon/quirks";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { queueControlPlane } from "../../../../agent/worker/queue/queue-control-plane";
import { FakeDaemonHost } from "../../../support/fake-dbmazz";
import { useScratch } from "../../../support/scratch";
import { eventually } from "../../daemon/eventually";

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
    claim: (signal: AbortSignal) =>
      controlPlane.post("claim", { claimId: randomUUID(), freeSlots: 2, waitMs: 0 }, "", { signal }),
    visible: () =>
      calls
        .filter(({ action, params }) => action === "ChangeMessageVisibility" && params["VisibilityTimeout"] === 0)
        .map(({ params }) => params["ReceiptHandle"]),
  };
}

test("SQS: a worker that leaves does not wait for its long poll, and what that brings afterwards is anyone's at once", async () => {
  const { polls, controlPlane, calls, held, visible } = queue();
  const stop = new AbortController();
  const left = jest.fn(async () => {});
  let ended = false;
  const running = runAgent(
    {
      worker: { workerId: "w", agentVersion: "1", daemonVersion: "2.4.0", pool: "p", labels: {}, slots: 2 },
      drain: { mode: "handoff", deadlineSeconds: 60 },
    },
    {
      controlPlane,
      deploymentToken: async () => "",
      log: createLog(() => {}),
      host: new FakeDaemonHost(),
      ports: new PortPool(),
      quirks: daemonQuirks({ kind: "dbmazz", version: "2.4.0" }),
      api: daemonApi,
      holdLease: () => {},
      notify: async () => {},
      watchdogPeriodMs: undefined,
      cloud: { run: async () => {}, protect: async () => true, unprotect: async () => {}, left },
    },
    { stop: stop.signal, handOver: new AbortController().signal },
  ).then(() => {
    ended = true;
  });
  await eventually("it polls", async () => expect(polls).toHaveLength(1));

  // WHEN
  stop.abort();
  await eventually("the group may go on", async () => expect(left).toHaveBeenCalled());

  // THEN it is there until SQS has nothing more to give to it
  expect(ended).toBe(false);
  polls[0]?.(messageOf("one"), messageOf("two"));
  await running;
  expect(visible()).toEqual(["one", "two"]);
  expect(held.all()).toEqual([]);
  expect(calls.map(({ action }) => action)).not.toContain("GetSecretValue");
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
  const claimed = claim(leaving.signal);
  polls[0]?.(messageOf("one"));

  expect((await claimed).grants).toEqual([]);
  await controlPlane.settled?.();
  expect(visible()).toEqual(["one"]);
  expect(held.all()).toEqual([]);
});

test("SQS: a second delivery of a job that runs, to a worker that leaves, is its hold from then on", async () => {
  const { polls, controlPlane, held, claim, visible } = queue();
  const first = claim(new AbortController().signal);
  polls[0]?.(messageOf("one", "job"));
  await first;
  const leaving = new AbortController();
  const second = claim(leaving.signal);
  leaving.abort();
  expect((await second).grants).toEqual([]);

  polls[1]?.(messageOf("two", "job"));
  await controlPlane.settled?.();

  expect(held.ofJob("job")).toMatchObject({ receipt: "two" });
  expect(visible()).toEqual([]);
});
