import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type FakeAws, startAws, xmlError } from "../../support/fake-aws";
import { FAKE_CREDENTIALS, type FakeImds, startImds } from "../../support/imds";

const SCRIPTS = join(__dirname, "../../../modules/user-data");
const TARGET = "meta-data/autoscaling/target-lifecycle-state";
const CONFIG = { autoScalingGroupName: "production-docs", launchHookName: "launch", terminateHookName: "terminate" };

let folder: string;
let imds: FakeImds;
let aws: FakeAws;
let script: ChildProcess | undefined;
let output: string;

jest.setTimeout(60_000);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-replace-"));
  imds = await startImds();
  imds.set(TARGET, "InService");
  aws = await startAws();
  output = "";
  writeFileSync(join(folder, "worker.json"), JSON.stringify(CONFIG));
  writeFileSync(join(folder, "aws.sh"), readFileSync(join(SCRIPTS, "aws.sh")));
  const text = readFileSync(join(SCRIPTS, "replace.sh"), "utf8");
  writeFileSync(
    join(folder, "replace.sh"),
    text.replaceAll(/\/(opt|etc)\/holdfast/g, folder).replace("sleep 5", "sleep 0.2"),
  );
  program("journalctl", `printf 'code=exited, status=1/FAILURE\\n"Start request" repeated too quickly.\\n'`);
  agentIs("failed");
});

afterEach(async () => {
  const ended = script && script.exitCode === null && new Promise((resolve) => script?.once("close", resolve));
  script?.kill();
  await ended;
  await Promise.all([imds.close(), aws.close()]);
  rmSync(folder, { recursive: true });
});

/** A program that the script finds before the system's. */
function program(name: string, text: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(folder, name), 0o755);
}

function agentIs(state: string): void {
  program("systemctl", `case $1 in is-active) echo ${state} ;; show) echo exit-code ;; *) exit 1 ;; esac`);
}

/** Starts the script; the promise is its exit status. */
function replace(): Promise<number | null> {
  const child = spawn("/bin/sh", [join(folder, "replace.sh")], {
    env: {
      PATH: `${folder}:${process.env["PATH"]}`,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
      AWS_ENDPOINT_URL: aws.endpoint,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  script = child;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      output += text;
    });
  }
  return new Promise((resolve) => child.once("close", resolve));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}

/** Times that the script has looked at the target state. */
const looks = () => imds.requests.filter((request) => request === `GET ${TARGET}`).length;
const healthCalls = () => aws.callsOf("SetInstanceHealth");

test("an instance without an agent is reported unhealthy once, with the reason, and its terminate hook is completed", async () => {
  // WHEN
  const ended = replace();
  await until(() => healthCalls().length > 0);
  const seen = looks();
  await until(() => looks() > seen + 3);

  // THEN
  expect(healthCalls().map(({ params }) => params)).toEqual([
    expect.objectContaining({
      InstanceId: "i-0a1b2c3d4e5f60718",
      HealthStatus: "Unhealthy",
      ShouldRespectGracePeriod: "false",
    }),
  ]);
  const why =
    "the agent could not be kept up (exit-code): code=exited, status=1/FAILURE;Start request repeated too quickly.";
  expect(aws.callsOf("CreateTags")[0]?.params).toMatchObject({
    "ResourceId.1": "i-0a1b2c3d4e5f60718",
    "Tag.1.Key": "holdfast:boot",
    "Tag.1.Value": expect.stringContaining(`unhealthy: ${why}`),
  });
  const [line = ""] = output.split("\n").filter((text) => text.includes('"error"'));
  expect(JSON.parse(line)).toMatchObject({ level: "error", message: expect.stringContaining(why) });

  // WHEN the group takes it out
  aws.waitingHooks.add("terminate");
  imds.set(TARGET, "Terminated");

  // THEN
  expect(await ended).toBe(0);
  expect(aws.callsOf("CompleteLifecycleAction").at(-1)?.params).toMatchObject({
    AutoScalingGroupName: "production-docs",
    LifecycleHookName: "terminate",
    LifecycleActionResult: "CONTINUE",
  });
  expect(healthCalls()).toHaveLength(1);
  expect(output).not.toContain(FAKE_CREDENTIALS.secretAccessKey);
  expect(output).not.toContain(FAKE_CREDENTIALS.sessionToken);
});

test.each(["Terminated", "Standby", "Detached", "Warmed:Stopped"])(
  "an instance whose target state is %s is not reported",
  async (state) => {
    imds.set(TARGET, state);
    void replace();
    await until(() => looks() > 3);

    expect(healthCalls()).toEqual([]);
  },
);

test("nor one that EC2 has announced to take back", async () => {
  imds.set("meta-data/spot/instance-action", JSON.stringify({ action: "terminate", time: "2026-11-21T08:22:00Z" }));
  void replace();
  await until(() => looks() > 3);

  expect(healthCalls()).toEqual([]);
});

test.each(["active", "activating"])("nor one whose agent is %s again: there is nothing left to do", async (state) => {
  agentIs(state);

  expect(await replace()).toBe(0);
  expect(healthCalls()).toEqual([]);
});

test("the report is repeated until the group takes it", async () => {
  let refusals = 2;
  aws.intercept("SetInstanceHealth", () => (refusals-- > 0 ? xmlError(503, "ServiceUnavailable", "later") : undefined));
  void replace();
  await until(() => healthCalls().length === 3);
  const seen = looks();
  await until(() => looks() > seen + 2);

  expect(healthCalls()).toHaveLength(3);
  expect(aws.callsOf("CreateTags")).toHaveLength(1);
});
