import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLog } from "../../../../agent/host/log";
import type { AwsRecord } from "../../../../agent/host/xml";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { LastPositions } from "../../../../agent/worker/queue/last-positions";
import { queueControlPlane } from "../../../../agent/worker/queue/queue-control-plane";
import { useScratch } from "../../../support/scratch";

const scratch = useScratch();
const JOB = randomUUID();
const STREAMING = { seq: 4, phase: "streaming", position: "0/1800028" } as const;
const side = { engine: "postgres", url: "postgres://db/shop", secretArn: "arn:aws:secretsmanager:::secret:db" };
const file = (machine: string) => join(scratch.path, machine, "queue-positions.json");

/** A life of an agent on a machine, and a message that comes to it for the nth time. */
function life(machine: string, receipts: number, body: object = {}) {
  const lines: string[] = [];
  const log = createLog((line) => void lines.push(line));
  const message = {
    MessageId: JOB,
    ReceiptHandle: `receipt ${receipts}`,
    Body: JSON.stringify({ name: "orders", source: side, sink: side, tables: ["orders"], ...body }),
    Attributes: { ApproximateReceiveCount: `${receipts}` },
  };
  const call = async (_service: string, action: string) => {
    if (action === "GetSecretValue") return { SecretString: '{"username":"cdc","password":"p"}' };
    return { Messages: action === "ReceiveMessage" ? [message] : [] } as unknown as AwsRecord;
  };
  const { post } = queueControlPlane({
    ...{ aws: { call }, queueUrl: "https://queue", log },
    held: new HeldMessages(join(scratch.path, machine, "queue.json")),
    positions: new LastPositions(file(machine), log),
  });
  const claim = async () => {
    const { grants } = await post("claim", { claimId: randomUUID(), freeSlots: 1, waitMs: 0 }, "");
    return grants[0];
  };
  return { post, claim, lines, ref: { jobId: JOB, fence: receipts } };
}

test.each<[string, (one: ReturnType<typeof life>) => Promise<unknown>]>([
  ["got on", ({ post, ref }) => post("progress", { ...ref, checkpoint: STREAMING }, "")],
  [
    "was let go with a last one",
    ({ post, ref }) => post("release", { reason: "drain", jobs: [{ ...ref, checkpoint: STREAMING }] }, ""),
  ],
  [
    "failed with a last one",
    ({ post, ref }) => post("report", { ...ref, outcome: "failed", logTail: [], checkpoint: STREAMING }, ""),
  ],
])(
  "R28: a job that %s goes on from there where it comes back to the machine, in the agent's next life too",
  async (_, getOn) => {
    const first = life("a", 1);
    expect(await first.claim()).toMatchObject({ fence: 1, resume: null });
    await getOn(first);
    await first.post("release", { reason: "drain", jobs: [first.ref] }, "");

    expect(await life("a", 2).claim()).toMatchObject({ fence: 2, resume: STREAMING });
    expect(await life("b", 3).claim()).toMatchObject({ fence: 3, resume: null });
  },
);

test("R28: of a job that is done nothing is kept, and a position that is none does not replace one", async () => {
  const first = life("a", 1);
  await first.claim();
  await first.post("progress", { ...first.ref, checkpoint: STREAMING }, "");
  await first.post("progress", { ...first.ref, checkpoint: { seq: 5, phase: "init", position: "" } }, "");
  await first.post("release", { reason: "drain", jobs: [first.ref] }, "");
  const second = life("a", 2);
  expect(await second.claim()).toMatchObject({ resume: STREAMING });

  await second.post("report", { ...second.ref, outcome: "completed", logTail: [] }, "");
  expect(
    new LastPositions(
      file("a"),
      createLog(() => {}),
    ).of(JOB),
  ).toBeUndefined();
});

test("R28: a job runs although the positions can be neither read nor written, and that is said", async () => {
  const lines: string[] = [];
  writeFileSync(join(scratch.path, "file"), "");
  const positions = new LastPositions(
    join(scratch.path, "file", "positions.json"),
    createLog((l) => void lines.push(l)),
  );
  await positions.keep(JOB, STREAMING);

  expect(positions.of(JOB)).toEqual(STREAMING);
  expect(lines.join("")).toContain("positions not written down");
});

test("R28: of more jobs than it remembers, those that got on last are kept", async () => {
  const positions = new LastPositions(
    file("a"),
    createLog(() => {}),
  );
  await Promise.all(Array.from({ length: 1_001 }, (_, n) => positions.keep(`job ${n}`, STREAMING)));

  const read = new LastPositions(
    file("a"),
    createLog(() => {}),
  );
  expect([read.of("job 0"), read.of("job 1"), read.of("job 1000")]).toEqual([undefined, STREAMING, STREAMING]);
});

test.each([
  [1, { snapshot: false }, 1],
  [2, { snapshot: false }, 0],
  [1, {}, 0],
])(
  "R28: a first receipt without a copy may be a redriven job's, and is said to be (receipt %d, %j)",
  async (receipts, body, said) => {
    const { claim, lines } = life("a", receipts, body);
    await claim();

    expect(lines.filter((line) => line.includes("changes since are missing"))).toHaveLength(said);
  },
);
