import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { App, TerraformStack } from "cdktf";
import { workerUserData } from "../../../modules/user-data/worker-user-data";
import { type FakeAws, startAws } from "../../support/fake-aws";
import { type FakeControlPlane, startControlPlane } from "../../support/fake-control-plane";
import { FAKE_CREDENTIALS, type FakeImds, startImds } from "../../support/imds";
import { instanceImage } from "../../support/instance/image";
import { type Instance, startInstance } from "../../support/instance/instance";
import { fileIn, MINIMAL_WORKER, SECRET_ARN, unpacked } from "../../support/user-data";

const TOKEN = "canary-deployment-token-51c0";
const DAEMON = "#!/bin/sh\nexec sleep infinity\n";
const BOOT_MS = 90_000;

let imds: FakeImds;
let aws: FakeAws;
let controlPlane: FakeControlPlane;
let instance: Instance | undefined;

jest.setTimeout(150_000);

beforeAll(() => {
  instanceImage();
}, 900_000);

beforeEach(async () => {
  imds = await startImds();
  aws = await startAws({
    waitingHooks: ["launch"],
    secrets: { [SECRET_ARN]: TOKEN },
    objects: { "releases/dbmazz/2.4.0/dbmazz-linux-amd64": DAEMON },
  });
  controlPlane = await startControlPlane(TOKEN);
});

afterEach(async () => {
  instance?.remove();
  instance = undefined;
  await Promise.all([imds.close(), aws.close(), controlPlane.close()]);
});

/** What the fleet would put into the launch template. */
function renderUserData(): string {
  const stack = new TerraformStack(new App(), "stack");
  return workerUserData(stack, "user-data", {
    ...MINIMAL_WORKER,
    controlPlaneUrl: controlPlane.endpoint,
    hooks: { beforeInstall: "echo before >/run/before", afterInstall: "test -f /run/before; id -u >/run/after" },
    daemonRelease: {
      bucket: "releases",
      keyPrefix: "dbmazz/",
      version: "2.4.0",
      sha256: { x86_64: createHash("sha256").update(DAEMON).digest("hex") },
    },
  }).base64;
}

function bootWorkerInstance(): Instance {
  imds.set("user-data", Buffer.from(renderUserData(), "base64"));
  instance = startInstance({ metadata: imds.endpoint, aws: aws.endpoint });
  return instance;
}

const bootTag = () => aws.callsOf("CreateTags")[0]?.params["Tag.1.Value"];
const hookResults = () => aws.callsOf("CompleteLifecycleAction").map(({ params }) => params["LifecycleActionResult"]);

test("R21: rendered user data boots under cloud-init and systemd, registers, and only then completes the launch hook", async () => {
  // WHEN
  const worker = bootWorkerInstance();
  await worker.until("the launch hook is completed", () => hookResults().length > 0, BOOT_MS);

  // THEN
  expect(bootTag()).toBeUndefined();
  expect(hookResults()).toEqual(["CONTINUE"]);
  const [registration] = controlPlane.messagesOf("register");
  expect(registration).toMatchObject({
    token: TOKEN,
    body: { workerId: "i-0a1b2c3d4e5f60718", pool: "docs", slots: 5, daemonVersion: "2.4.0" },
  });
  expect(registration?.at).toBeLessThan(aws.callsOf("CompleteLifecycleAction")[0]?.at ?? 0);
  await worker.until("heartbeats arrive", () => controlPlane.messagesOf("heartbeat").length > 2, 10_000);

  // The token was handed over as a credential and is nowhere else.
  expect(worker.exec("systemctl", "is-active", "holdfast-worker.service")).toBe("active");
  expect(worker.exec("systemctl", "show", "-p", "StatusText", "holdfast-worker.service")).toMatch(/active|registered/);
  expect(worker.exec("ls", "-A", "/run/holdfast")).toBe("");
  expect(worker.exec("ps", "-o", "user=", "-C", "node")).not.toContain("root");
  expect(worker.exec("cat", "/run/after")).toBe("0");
  for (const secret of [TOKEN, FAKE_CREDENTIALS.secretAccessKey, FAKE_CREDENTIALS.sessionToken]) {
    const found = worker.exec("grep", "-rlsF", secret, "/etc", "/opt", "/var/log", "/var/lib/cloud", "/tmp");
    expect(found).toBe("");
  }

  // A crash is a new start with a token fetched anew, and a new session.
  const registrations = controlPlane.messagesOf("register").length;
  worker.exec("systemctl", "kill", "--signal=KILL", "holdfast-worker.service");
  await worker.until(
    "the agent registers again",
    () => controlPlane.messagesOf("register").length > registrations,
    30_000,
  );
  expect(aws.callsOf("GetSecretValue").length).toBeGreaterThanOrEqual(2);

  // The group takes it out of service: goodbye first, then the terminate hook.
  aws.waitingHooks.add("terminate");
  imds.set("meta-data/autoscaling/target-lifecycle-state", "Terminated");
  await worker.until("the terminate hook is completed", () => hookResults().length > 1, 30_000);
  expect(aws.callsOf("CompleteLifecycleAction")[1]?.params).toMatchObject({
    LifecycleHookName: "terminate",
    LifecycleActionResult: "CONTINUE",
  });
  expect(controlPlane.messagesOf("deregister")).toHaveLength(1);
  await worker.until(
    "the agent has ended",
    () => worker.exec("systemctl", "is-active", "holdfast-worker.service") === "inactive",
    20_000,
  );
});

test("R21: a worker that cannot get its token abandons its hook, says why in its tag, and powers off", async () => {
  aws.intercept("GetSecretValue", () => ({
    status: 400,
    body: JSON.stringify({ __type: "AccessDeniedException", Message: "not authorized to perform GetSecretValue" }),
  }));

  const worker = bootWorkerInstance();
  await worker.until("the machine is off", () => !worker.isRunning(), BOOT_MS);

  expect(hookResults()).toEqual(["ABANDON"]);
  expect(String(aws.callsOf("CreateTags")[0]?.params["Tag.1.Value"])).toContain(
    "could not start the agent and register",
  );
  expect(controlPlane.messagesOf("register")).toEqual([]);
});

test("R21: where the program itself cannot run, the shell abandons the hook with a signed call, and powers off", async () => {
  // GIVEN
  const document = unpacked(renderUserData());
  const program = fileIn(document, "/opt/holdfast/worker.mjs");
  imds.set("user-data", gzipSync(document.replace(program, () => "process.exit(7)")));

  // WHEN
  instance = startInstance({ metadata: imds.endpoint, aws: aws.endpoint });
  await instance.until("the machine is off", () => !instance?.isRunning(), BOOT_MS);

  // THEN
  expect(aws.callsOf("CompleteLifecycleAction")[0]?.params).toMatchObject({
    AutoScalingGroupName: MINIMAL_WORKER.autoScalingGroupName,
    LifecycleHookName: "launch",
    LifecycleActionResult: "ABANDON",
    InstanceId: "i-0a1b2c3d4e5f60718",
  });
  expect(aws.callsOf("CreateTags")[0]?.params).toMatchObject({
    "Tag.1.Key": "holdfast:boot",
    "Tag.1.Value": expect.stringContaining("worker.mjs boot ended with status 7"),
  });
});
