import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { PATHS } from "../../../../agent/worker/paths";
import { type FakeAws, startAws } from "../../../support/fake-aws";
import { json } from "../../../support/fake-control-plane";
import { type FakeImds, startImds } from "../../../support/imds";
import type { Instance } from "../../../support/instance/instance";
import { useLab } from "../../../support/instance/lab";
import { MINIMAL_WORKER } from "../../../support/user-data";
import { releaseObjects, startWorkerInstance, workerBoot } from "../../../support/worker-boot";

/** Tells what it must not whenever it is looked at. */
const DAEMON = readFileSync("__tests__/support/stand-in-daemon.pl", "utf8").replace(
  "close $client;",
  'close $client; print "$ENV{SOURCE_URL} $ENV{SINK_PASSWORD}\\n";',
);
const QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs";
const SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-Ab12Cd";
const PASSWORD = "canary-p@ss/word";
const side = (name: string) => ({ engine: "postgres", url: `postgres://db.internal:5432/${name}`, secretArn: SECRET });
const MESSAGE = {
  MessageId: randomUUID(),
  ReceiptHandle: "receipt-1",
  Body: JSON.stringify({ name: "orders", source: side("shop"), sink: side("copy"), tables: ["orders"] }),
  Attributes: { ApproximateReceiveCount: "1" },
};

let imds: FakeImds;
let aws: FakeAws;
let worker: Instance;
const bench = useLab();

beforeAll(async () => {
  const host = bench.lab().network.hostAddress;
  imds = await startImds({ host });
  aws = await startAws({
    host,
    waitingHooks: ["launch"],
    secrets: { [SECRET]: JSON.stringify({ username: "cdc", password: PASSWORD }) },
    objects: releaseObjects(DAEMON),
  });
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: "dead", maxReceiveCount: 5 });
  aws.intercept("GetQueueAttributes", () => json(200, { Attributes: { RedrivePolicy } }));
  let delivered = false;
  // Nothing more comes: the long poll ends by the client's own deadline.
  aws.intercept("ReceiveMessage", () => {
    if (delivered) return "hang";
    delivered = true;
    return json(200, { Messages: [MESSAGE] });
  });
  aws.intercept("ChangeMessageVisibility", () => json(200, {}));
  aws.intercept("ChangeMessageVisibilityBatch", () => json(200, { Successful: [], Failed: [] }));
  const { controlPlaneUrl: _url, token: _token, ...settings } = MINIMAL_WORKER;
  const boot = workerBoot(DAEMON, {
    ...settings,
    queue: { arn: "arn:aws:sqs:us-east-1:123456789012:jobs", visibilitySeconds: 120 },
    // In the place of the CloudWatch agent, which is what the copy of the jobs' output is made for.
    cloudWatchAgent: {},
    hooks: { beforeInstall: `install -D /bin/true ${PATHS.cloudWatchControl}` },
  });
  worker = await startWorkerInstance(bench, { imds, aws }, boot);
}, 600_000);

afterAll(async () => {
  await worker?.remove();
  await Promise.all([imds?.close(), aws?.close()]);
});

const hookResults = () => aws.callsOf("CompleteLifecycleAction").map(({ params }) => params["LifecycleActionResult"]);
const UNIT = `holdfast-job-${MESSAGE.MessageId}-1.service`;

test("SQS: an instance boots without a control plane, runs the job of a message while it holds it, and gives it back when it is drained", async () => {
  // GIVEN an instance in service, which has asked for no token
  await worker.until("the launch hook is completed", () => hookResults().length > 0);
  expect(hookResults()).toEqual(["CONTINUE"]);

  // WHEN the queue has a message
  await worker.until("its daemon serves", async () =>
    (await worker.exec("journalctl", "-qo", "cat", "-u", UNIT)).includes("Replicating orders"),
  );
  await worker.until("its time is extended", () =>
    aws
      .callsOf("ChangeMessageVisibilityBatch")
      .some(({ params }) => JSON.stringify(params["Entries"]).includes(MESSAGE.ReceiptHandle)),
  );

  // THEN it is a job like any other, with the credentials that the message names
  const pid = await worker.exec("systemctl", "show", "--value", "-p", "MainPID", UNIT);
  const variables = await worker.exec("sh", "-c", `tr '\\0' '\\n' </proc/${pid}/environ`);
  expect(variables).toContain(`SINK_PASSWORD=${PASSWORD}`);
  expect(new Set(aws.callsOf("GetSecretValue").map(({ params }) => params["SecretId"]))).toEqual(new Set([SECRET]));
  const queues = aws.calls.filter(({ service }) => service === "sqs").map(({ params }) => params["QueueUrl"]);
  expect(new Set(queues)).toEqual(new Set([QUEUE_URL]));

  // THEN what it says is shipped, but for its secrets, which the agent's next life knows, too
  const shipped = async () =>
    (await worker.exec("sh", "-c", `cat ${PATHS.jobLogs}/dbmazz-${MESSAGE.MessageId}.log || true`)).split("\n");
  const said = /^\d{4}-\d\d-\d\dT[\d:.]+Z postgres:\/\/\[redacted\]@db\.internal:5432\/shop\S* \[redacted\]$/;
  await worker.until("its output is copied", async () => (await shipped()).length > 2);
  await worker.exec("systemctl", "kill", "--signal=KILL", "holdfast-worker.service");
  await worker.until("the agent is back", async () =>
    (await worker.exec("cat", PATHS.agentLog)).includes("job found running"),
  );
  const before = (await shipped()).length;
  await worker.until("more is copied", async () => (await shipped()).length > before + 2);
  const [first, ...more] = await shipped();
  expect(first).toMatch(/Z Replicating orders$/);
  expect(more.filter((line) => !said.test(line))).toEqual([]);
  expect(await worker.exec("journalctl", "-qo", "cat", "-u", UNIT)).toContain(PASSWORD);

  // WHEN the group takes the instance out
  aws.waitingHooks.add("terminate");
  imds.set("meta-data/autoscaling/target-lifecycle-state", "Terminated");
  await worker.until("the terminate hook is completed", () => hookResults().length > 1);

  // THEN the message is anyone's again
  expect(aws.callsOf("ChangeMessageVisibility").at(-1)?.params).toMatchObject({
    ReceiptHandle: MESSAGE.ReceiptHandle,
    VisibilityTimeout: 0,
  });
  expect(aws.callsOf("DeleteMessage")).toEqual([]);
});
