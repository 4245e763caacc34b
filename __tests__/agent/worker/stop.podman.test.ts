import { readFileSync } from "node:fs";
import { machineInstant } from "../../../agent/worker/lease-keeper";
import { jobsMovedAfterMs, LeaseTiming } from "../../../control-plane/lease/timing";
import { type FakeAws, startAws } from "../../support/fake-aws";
import { type FakeControlPlane, startControlPlane } from "../../support/fake-control-plane";
import { type RunningServer, startHttpServer } from "../../support/http-server";
import { type FakeImds, startImds } from "../../support/imds";
import type { Instance } from "../../support/instance/instance";
import { useLab } from "../../support/instance/lab";
import { MINIMAL_WORKER, SECRET_ARN } from "../../support/user-data";
import { releaseObjects, startWorkerInstance, workerBoot } from "../../support/worker-boot";
import { grantOf } from "./jobs/supervised";
import { unitsThatAre } from "./unit-moments";

const TOKEN = "canary-deployment-token-51c0";
const WORKER = "holdfast-worker.service";
const GUARD = "holdfast-guard.service";
const ORDER = "holdfast-jobs.target";
/** A drain lasts longer than the unit's own time to stop: it quiesces half a minute before its deadline. */
const DRAIN = { mode: "finish", deadlineSeconds: 60 } as const;
const SHORT = "TimeoutStopSec=15\nWatchdogSec=10";

let imds: FakeImds;
let aws: FakeAws;
let controlPlane: FakeControlPlane;
let recorder: RunningServer;
let worker: Instance;
/** What daemons were asked to do, and by whom, in order. */
let words: string[];
const bench = useLab();

/** Tells the recorder when it is paused or stopped, and when a signal asks it to end. */
function tellingDaemon({ hostname, port }: URL): string {
  const say =
    `sub say { my $to = IO::Socket::INET->new(PeerAddr => '${hostname}', PeerPort => ${port}) or return;` +
    ' print $to "POST /$_[0] HTTP/1.0\\r\\n\\r\\n"; my @answer = <$to>; }\n' +
    "$SIG{TERM} = sub { say('SIGTERM'); exit 0 };\n$| = 1;";
  return readFileSync("__tests__/support/stand-in-daemon.pl", "utf8")
    .replace("$| = 1;", () => say)
    .replace("close $client;", () => "close $client; say($path) if $path =~ /pause|stop/;");
}

beforeAll(async () => {
  const host = bench.lab().network.hostAddress;
  recorder = await startHttpServer(
    ({ url }) => {
      words.push(url.pathname.slice(1));
      return { status: 200 };
    },
    { host },
  );
  const daemon = tellingDaemon(new URL(recorder.endpoint));
  imds = await startImds({ host });
  aws = await startAws({
    host,
    waitingHooks: ["launch"],
    secrets: { [SECRET_ARN]: TOKEN },
    objects: releaseObjects(daemon),
  });
  controlPlane = await startControlPlane(TOKEN, { host });
  const boot = workerBoot(daemon, { ...MINIMAL_WORKER, drain: DRAIN }, controlPlane.endpoint);
  worker = await startWorkerInstance(bench, { imds, aws }, boot);
  await worker.until("it is in service", async () => (await worker.exec("ls", "/var/lib/holdfast")) === "in-service");
}, 600_000);

afterAll(async () => {
  await worker?.remove();
  await Promise.all([imds?.close(), aws?.close(), controlPlane?.close(), recorder?.close()]);
});

const property = (unit: string, name: string) =>
  worker.exec("systemctl", "show", "--value", `--property=${name}`, unit);
const running = () => controlPlane.messagesOf("heartbeat").at(-1)?.body.running ?? [];
const goodbyes = () => controlPlane.messagesOf("deregister").length;

/** Starts the agent with these settings of its unit. @returns the unit of the job that it runs then. */
async function runJob(settings: string): Promise<string> {
  const path = `/run/systemd/system/${WORKER}.d`;
  await worker.exec("sh", "-c", `mkdir -p ${path}; printf '[Service]\n${settings}\n' >${path}/stop.conf`);
  await worker.exec("systemctl", "daemon-reload");
  const registered = controlPlane.messagesOf("register").length;
  await worker.exec("systemctl", "restart", WORKER);
  expect(controlPlane.messagesOf("register").length).toBeGreaterThan(registered);
  const grant = grantOf();
  controlPlane.grants.push(grant);
  await worker.until("its job runs", () => {
    const [job, ...others] = running();
    return job?.jobId === grant.jobId && job.status === "running" && others.length === 0;
  });
  words = [];
  return `holdfast-job-${grant.jobId}-1.service`;
}

test("a stop lasts as long as the drain that it begins, beyond the unit's own time, and ends in a goodbye", async () => {
  await runJob(SHORT);
  const before = goodbyes();

  await worker.exec("systemctl", "stop", WORKER);

  expect(await property(WORKER, "Result")).toBe("success");
  expect(words).toEqual(["cdc/pause", "cdc/stop"]);
  expect(controlPlane.messagesOf("release")).toHaveLength(1);
  expect(goodbyes()).toBe(before + 1);
});

test("R24: while a stop lasts, daemons end with the guard, and not after the agent", async () => {
  const job = await runJob("TimeoutStopSec=infinity\nWatchdogSec=10");

  await worker.exec("systemctl", "stop", "--no-block", WORKER);
  await worker.exec("systemctl", "kill", "--signal=KILL", GUARD);
  await worker.until("the daemon is asked to end", () => words.length > 0);

  expect(await property(WORKER, "ActiveState")).toBe("deactivating");
  expect(words).toEqual(["SIGTERM"]);
  await worker.until("its unit has ended", async () => (await property(job, "MainPID")) === "0");
  await worker.until("the agent has left", async () => (await property(WORKER, "ActiveState")) === "inactive");
});

test("R24: while the machine's stop waits for an agent that stands still, daemons end with the lease, before their jobs may be another's", async () => {
  const job = await runJob("TimeoutStopSec=infinity\nWatchdogSec=10");
  const timing = LeaseTiming.parse({ heartbeatMs: 1_000, workerLeaseMs: 5_000 });
  let heardAt = Number.NaN;
  controlPlane.leaseMs = timing.workerLeaseMs;
  controlPlane.intercept = ({ name }) => {
    if (name === "heartbeat") heardAt = machineInstant().monotonicMs;
    return undefined;
  };
  await worker.until("the guard holds it", async () => /^\d(\.\d+)?s$/.test(await property(GUARD, "WatchdogUSec")));

  // WHEN all of them are to stop at once; systemd has a process that stands still go on, to hear of its stop
  await worker.exec("systemctl", "stop", "--no-block", WORKER, ORDER, job);
  await worker.exec("systemctl", "kill", "--kill-whom=main", "--signal=STOP", WORKER);
  const movedAt = heardAt + jobsMovedAfterMs(timing);
  await worker.until("the daemon has ended", async () => (await unitsThatAre("stopped", worker)).has(job));

  expect((await unitsThatAre("stopped", worker)).get(job)).toBeLessThan(movedAt);
  expect(await property(WORKER, "ActiveState")).toBe("deactivating");
  expect(words).toEqual(["SIGTERM"]);
  controlPlane.leaseMs = 30_000;
  controlPlane.intercept = undefined;
  await worker.exec("systemctl", "kill", "--kill-whom=main", "--signal=KILL", WORKER);
});

test("a machine that is turned off lets its jobs go at once: the agent quiesces them before systemd ends any", async () => {
  const inAnHour = `s/"deadlineSeconds":${DRAIN.deadlineSeconds}/"deadlineSeconds":3600/`;
  await worker.exec("sed", "-i", inAnHour, "/etc/holdfast/worker.json");
  await runJob("TimeoutStopSec=90");
  const [released, before] = [controlPlane.messagesOf("release").length, goodbyes()];

  // WHEN
  await worker.exec("systemctl", "poweroff");
  await worker.until("the machine is off", () => !worker.isRunning());

  // THEN
  expect(words).toEqual(["cdc/pause", "cdc/stop"]);
  expect(controlPlane.messagesOf("release").length).toBe(released + 1);
  expect(goodbyes()).toBe(before + 1);
});
