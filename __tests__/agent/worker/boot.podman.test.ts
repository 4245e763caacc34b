import { gzipSync } from "node:zlib";
import { type FakeAws, startAws } from "../../support/fake-aws";
import { type FakeControlPlane, refusal, startControlPlane } from "../../support/fake-control-plane";
import { FAKE_CREDENTIALS, type FakeImds, startImds } from "../../support/imds";
import { type Instance, startInstance } from "../../support/instance/instance";
import { useLab } from "../../support/instance/lab";
import { fileIn, MINIMAL_WORKER, SECRET_ARN } from "../../support/user-data";
import { releaseObjects, workerBoot } from "../../support/worker-boot";

const TOKEN = "canary-deployment-token-51c0";
const DAEMON = "#!/bin/sh\nexec sleep infinity\n";

let imds: FakeImds;
let aws: FakeAws;
let controlPlane: FakeControlPlane;
let instance: Instance | undefined;

const bench = useLab();

beforeEach(async () => {
  const host = bench.lab().network.hostAddress;
  imds = await startImds({ host });
  aws = await startAws({
    host,
    waitingHooks: ["launch"],
    secrets: { [SECRET_ARN]: TOKEN },
    objects: releaseObjects(DAEMON),
  });
  controlPlane = await startControlPlane(TOKEN, { host });
});

afterEach(async () => {
  await instance?.remove();
  instance = undefined;
  await Promise.all([imds.close(), aws.close(), controlPlane.close()]);
});

/** What the fleet would put into the launch template. */
function renderUserData(): string {
  const hooks = { beforeInstall: "echo before >/run/before", afterInstall: "test -f /run/before; id -u >/run/after" };
  return workerBoot(DAEMON, { ...MINIMAL_WORKER, hooks }, controlPlane.endpoint);
}

async function bootWorkerInstance(): Promise<Instance> {
  imds.set("user-data", gzipSync(renderUserData()));
  return startMachine();
}

async function startMachine(): Promise<Instance> {
  instance = await startInstance(bench, { metadataPort: imds.port, aws: aws.endpoint });
  return instance;
}

const bootTag = () => aws.callsOf("CreateTags")[0]?.params["Tag.1.Value"];
const hookResults = () => aws.callsOf("CompleteLifecycleAction").map(({ params }) => params["LifecycleActionResult"]);

test("R21: rendered user data boots under cloud-init and systemd, registers, and only then completes the launch hook", async () => {
  // WHEN
  const worker = await bootWorkerInstance();
  await worker.until("the launch hook is completed", () => hookResults().length > 0);

  // THEN
  expect(bootTag()).toBeUndefined();
  expect(hookResults()).toEqual(["CONTINUE"]);
  const [registration] = controlPlane.messagesOf("register");
  expect(registration).toMatchObject({
    token: TOKEN,
    body: { workerId: "i-0a1b2c3d4e5f60718", pool: "docs", slots: 5, daemonVersion: "2.4.0" },
  });
  expect(registration?.at).toBeLessThan(aws.callsOf("CompleteLifecycleAction")[0]?.at ?? 0);
  await worker.until("heartbeats arrive", () => controlPlane.messagesOf("heartbeat").length > 2);

  // The token was handed over as a credential and is nowhere else.
  expect(await worker.exec("systemctl", "is-active", "holdfast-worker.service")).toBe("active");
  expect(await worker.exec("systemctl", "show", "-p", "StatusText", "holdfast-worker.service")).toMatch(
    /active|registered/,
  );
  expect(await worker.exec("ls", "-A", "/run/holdfast")).toBe("");
  const owner = "stat -c %U /proc/$(systemctl show --value -p MainPID holdfast-worker.service)";
  expect(await worker.exec("sh", "-c", owner)).toBe("holdfast-worker");
  expect(await worker.exec("cat", "/run/after")).toBe("0");
  for (const secret of [TOKEN, FAKE_CREDENTIALS.secretAccessKey, FAKE_CREDENTIALS.sessionToken]) {
    const found = await worker.exec("grep", "-rlsF", secret, "/etc", "/opt", "/var/log", "/var/lib/cloud", "/tmp");
    expect(found).toBe("");
  }

  // A crash is a new start with a token fetched anew, and a new session.
  const registrations = controlPlane.messagesOf("register").length;
  await worker.exec("systemctl", "kill", "--signal=KILL", "holdfast-worker.service");
  await worker.until("the agent registers again", () => controlPlane.messagesOf("register").length > registrations);
  expect(aws.callsOf("GetSecretValue").length).toBeGreaterThanOrEqual(2);

  // The group takes it out of service: goodbye first, then the terminate hook.
  aws.waitingHooks.add("terminate");
  imds.set("meta-data/autoscaling/target-lifecycle-state", "Terminated");
  await worker.until("the terminate hook is completed", () => hookResults().length > 1);
  expect(aws.callsOf("CompleteLifecycleAction")[1]?.params).toMatchObject({
    LifecycleHookName: "terminate",
    LifecycleActionResult: "CONTINUE",
  });
  expect(controlPlane.messagesOf("deregister")).toHaveLength(1);
  await worker.until(
    "the agent has ended",
    async () => (await worker.exec("systemctl", "is-active", "holdfast-worker.service")) === "inactive",
  );
});

test("R21: a worker that cannot get its token abandons its hook, says why in its tag, and powers off", async () => {
  aws.intercept("GetSecretValue", () => ({
    status: 400,
    body: JSON.stringify({ __type: "AccessDeniedException", Message: "not authorized to perform GetSecretValue" }),
  }));

  const worker = await bootWorkerInstance();
  await worker.until("the machine is off", () => !worker.isRunning());

  expect(hookResults()).toEqual(["ABANDON"]);
  expect(String(aws.callsOf("CreateTags")[0]?.params["Tag.1.Value"])).toContain(
    "could not start the agent and register",
  );
  expect(controlPlane.messagesOf("register")).toEqual([]);
});

test("R21: where the program itself cannot run, the shell abandons the hook with a signed call, and powers off", async () => {
  // GIVEN
  const document = renderUserData();
  const program = fileIn(document, "/opt/holdfast/worker.mjs");
  imds.set("user-data", gzipSync(document.replace(program, () => "process.exit(7)")));

  // WHEN
  const machine = await startMachine();
  await machine.until("the machine is off", () => !machine.isRunning());

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

describe("an agent on an instance in service", () => {
  const unit = "holdfast-worker.service";
  const healthCalls = () => aws.callsOf("SetInstanceHealth");
  const registrations = () => controlPlane.messagesOf("register").length;

  async function workerInService(): Promise<Instance> {
    imds.set("meta-data/autoscaling/target-lifecycle-state", "InService");
    const worker = await bootWorkerInstance();
    await worker.until("it is in service", async () => (await worker.exec("ls", "/var/lib/holdfast")) === "in-service");
    return worker;
  }

  test("that is stuck is started anew by the watchdog; one that cannot be kept up has the group replace the instance", async () => {
    const worker = await workerInService();
    const restarts = async () => Number(await worker.exec("systemctl", "show", "--value", "-p", "NRestarts", unit));
    const dropIn = "[Service]\nTimeoutStartSec=20\nWatchdogSec=10\nTimeoutAbortSec=1\n";
    const shell = (text: string) => worker.exec("sh", "-c", text);
    await shell(`mkdir /run/systemd/system/${unit}.d; printf '${dropIn}' >/run/systemd/system/${unit}.d/short.conf`);
    await worker.exec("systemctl", "daemon-reload");
    await worker.exec("systemctl", "restart", unit);

    // WHEN it no longer turns
    const before = registrations();
    await worker.exec("systemctl", "kill", "--kill-whom=main", "--signal=STOP", unit);
    await worker.until("the watchdog has started it anew", () => registrations() > before);
    expect(await restarts()).toBe(1);

    // WHEN the control plane refuses it for longer than a start may take
    controlPlane.intercept = ({ name }) => (name === "register" ? refusal(503, "busy", "later", 1_000) : undefined);
    await worker.exec("systemctl", "kill", "--signal=KILL", unit);
    await worker.until("it has been started again", async () => (await restarts()) === 2);
    const startedAt = () => shell(`systemctl show --value -p ExecMainPID ${unit}; systemctl is-active ${unit}`);
    await worker.until("its start is under way", async () => /^[1-9]\d*\nactivating$/.test(await startedAt()));
    const process = await startedAt();
    await shell("sleep 25");

    // THEN it lives and goes on trying
    expect(await startedAt()).toBe(process);
    expect(healthCalls()).toEqual([]);
    controlPlane.intercept = undefined;
    await worker.until(
      "it is registered",
      async () => (await worker.exec("systemctl", "is-active", unit)) === "active",
    );

    // WHEN the program ends as soon as it is run
    await shell(
      "sed -i --follow-symlinks '1i if (process.argv[2] === \"run\") process.exit(7);' /opt/holdfast/worker-agent.mjs",
    );
    await worker.exec("systemctl", "kill", "--signal=KILL", unit);
    await worker.until("the group is told", () => healthCalls().length > 0);

    // THEN
    expect(healthCalls()[0]?.params).toMatchObject({ InstanceId: "i-0a1b2c3d4e5f60718", HealthStatus: "Unhealthy" });
    expect(bootTag()).toContain("unhealthy: the agent could not be kept up (exit-code): ");
    expect(await worker.exec("grep", "-h", "reported unhealthy", "/var/log/holdfast/worker-agent.log")).not.toBe("");
    aws.waitingHooks.add("terminate");
    imds.set("meta-data/autoscaling/target-lifecycle-state", "Terminated");
    await worker.until("the terminate hook is completed", () => hookResults().length > 1);
    expect(healthCalls()).toHaveLength(1);
  });

  test("whose program is damaged, so that not even its token is fetched, has the group replace the instance", async () => {
    const worker = await workerInService();
    await worker.exec("sh", "-c", "echo 'process.exit(7)' >/opt/holdfast/worker.mjs");
    await worker.exec("systemctl", "kill", "--signal=KILL", unit);
    await worker.until("the group is told", () => healthCalls().length > 0);

    expect(healthCalls()[0]?.params).toMatchObject({ InstanceId: "i-0a1b2c3d4e5f60718", HealthStatus: "Unhealthy" });
    expect(bootTag()).toContain("unhealthy: the agent could not be kept up");
  });
});
