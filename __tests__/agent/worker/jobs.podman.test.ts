import { readFileSync } from "node:fs";
import { limitsOfSlot } from "../../../agent/worker/daemon/daemon-unit";
import { matchesOfEnd } from "../../../agent/worker/daemon/journal";
import { machineInstant } from "../../../agent/worker/lease-keeper";
import { jobsMovedAfterMs, LeaseTiming } from "../../../control-plane/lease/timing";
import type { Grant, Request } from "../../../control-plane/protocol";
import { type FakeAws, startAws } from "../../support/fake-aws";
import { type FakeControlPlane, refusal, startControlPlane } from "../../support/fake-control-plane";
import { type FakeImds, startImds } from "../../support/imds";
import type { Instance } from "../../support/instance/instance";
import { useLab } from "../../support/instance/lab";
import { MINIMAL_WORKER, SECRET_ARN } from "../../support/user-data";
import { releaseObjects, startWorkerInstance, workerBoot } from "../../support/worker-boot";
import { grantOf, PASSWORD } from "./jobs/supervised";
import { unitsThatAre } from "./unit-moments";

const TOKEN = "canary-deployment-token-51c0";
/** Ends with much to say when it is told to; one with such a table listens to SIGKILL alone. */
const DAEMON = readFileSync("__tests__/support/stand-in-daemon.pl", "utf8").replace(
  "$| = 1;",
  () =>
    '$| = 1; $SIG{USR1} = sub { print "word $_\\n" for 1 .. 500; exit 3 }; $SIG{USR2} = sub { fork or exec qw(sleep 4321); exit 0 }; $SIG{TERM} = "IGNORE" if $ENV{TABLES} eq "deaf";',
);
const LAST_LINES = 50;
/** The share of memory and processors is counted for so many. */
const SLOTS = 100;
const JOBS = 4;
const PRIVATE_KEY_LINE = "MIIEcanary7a0fPRIVATEkey";
const PRIVATE_KEY = `-----BEGIN PRIVATE KEY-----\n${PRIVATE_KEY_LINE}\n-----END PRIVATE KEY-----\n`;
const snowflake = {
  engine: "snowflake",
  url: "https://account.snowflakecomputing.com/copy",
  user: "cdc",
  password: PRIVATE_KEY,
  options: {},
};
const doomed = grantOf();
const keptJob = grantOf({ spec: { onDisconnect: "keep" } });
const keyed = grantOf({ spec: { sink: snowflake } });
const keyFile = (units: ReadonlyMap<string, number>) =>
  `/run/credentials/${[...units.keys()].find((unit) => unit.includes(keyed.jobId))}/SINK_SNOWFLAKE_PRIVATE_KEY_PATH`;

let imds: FakeImds;
let aws: FakeAws;
let controlPlane: FakeControlPlane;
let worker: Instance;
const bench = useLab();

beforeAll(async () => {
  const host = bench.lab().network.hostAddress;
  imds = await startImds({ host });
  aws = await startAws({
    host,
    waitingHooks: ["launch"],
    secrets: { [SECRET_ARN]: TOKEN },
    objects: releaseObjects(DAEMON),
  });
  controlPlane = await startControlPlane(TOKEN, { host });
  const boot = workerBoot(DAEMON, { ...MINIMAL_WORKER, slots: SLOTS }, controlPlane.endpoint);
  worker = await startWorkerInstance(bench, { imds, aws }, boot);
}, 600_000);

afterAll(async () => {
  await worker?.remove();
  await Promise.all([imds?.close(), aws?.close(), controlPlane?.close()]);
});

const AGENT = "holdfast-worker.service";
const GUARD = "holdfast-guard.service";

const shell = (text: string) => worker.exec("sh", "-c", text);
const property = (unit: string, name: string) =>
  worker.exec("systemctl", "show", "--value", `--property=${name}`, unit);

/** The daemons that run, by unit, as systemd knows them: job, fence and pid. */
async function daemons(): Promise<ReadonlyMap<string, number>> {
  const shown = await shell("systemctl show 'holdfast-job-*' --property=Id,SubState,MainPID");
  const units = shown
    .split("\n\n")
    .map((block) => Object.fromEntries(block.split("\n").map((line) => line.split("="))));
  return new Map(
    units.filter(({ SubState }) => SubState === "running").map(({ Id, MainPID }) => [Id, Number(MainPID)]),
  );
}

/** The files and folders in which a text stands. */
async function holding(canary: string, where: string): Promise<string[]> {
  // Not as an argument, where the search would find itself.
  const pattern = `printf %s ${Buffer.from(canary).toString("base64")} | base64 -d`;
  return (await shell(`${pattern} | grep -lrsF -f - ${where}`)).split("\n").filter(Boolean).sort();
}
const ARGUMENTS = "/proc/[0-9]*/cmdline";
const ENVIRONMENTS = "/proc/[0-9]*/environ";
/** The journal and the units' properties among them, once {@link look} has written them down. */
const DISKS = "/etc /opt /root /run /tmp /var";
const look = () =>
  shell(
    "mkdir -pm 700 /run/seen; journalctl --no-pager --all >/run/seen/journal; systemctl show '*' --all >/run/seen/units",
  );

const running = () => controlPlane.messagesOf("heartbeat").at(-1)?.body.running ?? [];
const found = async () => Number(await shell("grep -c 'job found running' /var/log/holdfast/worker-agent.log || true"));
const everyJobServes = (count: number) =>
  worker.until(
    `${count} jobs run`,
    () => running().length === count && running().every(({ status }) => status === "running"),
  );

async function grant(...grants: Grant[]): Promise<void> {
  controlPlane.grants.push(...grants);
  await everyJobServes(running().length + grants.length);
}

test("each job is a unit of its own in the jobs' slice, limited to a slot's share, under a user of its own", async () => {
  await worker.until("it is registered", () => controlPlane.messagesOf("heartbeat").length > 0);
  await grant(...Array.from({ length: JOBS }, () => grantOf()), doomed, keptJob, keyed);

  const units = await daemons();
  expect(units.size).toBe(JOBS + 3);
  const users = await Promise.all([...units.values()].map((pid) => worker.exec("stat", "-c", "%u", `/proc/${pid}`)));
  expect(new Set(users).size).toBe(units.size);
  for (const user of users) expect(Number(user)).toBeGreaterThanOrEqual(61_184);
  // One with a password: a private key is in a file.
  const [unit = "", pid = 0] = [...units].find(([name]) => !name.includes(keyed.jobId)) ?? [];
  const limits = limitsOfSlot(SLOTS, {
    memoryBytes: Number(/MemTotal:\s+(\d+)/.exec(await worker.exec("cat", "/proc/meminfo"))?.[1]) * 1_024,
    processors: Number(await worker.exec("nproc")),
  });
  expect(await property(unit, "Slice")).toBe("holdfast-jobs.slice");
  expect(Number(await property(unit, "MemoryMax"))).toBe(limits.memoryBytes);
  expect(await property(unit, "CPUQuotaPerSecUSec")).toBe(`${limits.cpuPercent / 100}s`);
  // The slice beside the system's, in which agent and guard come first.
  const weights = [AGENT, GUARD, "system.slice", "holdfast-jobs.slice"].map((name) => property(name, "CPUWeight"));
  expect(await Promise.all(weights)).toEqual(["1000", "1000", "[not set]", "50"]);
  // Not of none: Linux would hand a core to a program that takes cores all the same.
  for (const crashing of [unit, AGENT, GUARD]) expect(await property(crashing, "LimitCORE")).toBe("1");
  expect(await worker.exec("grep", "Max core file size", `/proc/${pid}/limits`)).toMatch(/size\s+1\s+1\s/);
  // The unit's process becomes the daemon once it has read its credentials.
  await worker.until("the daemon has its variables", async () => {
    const variables = (await shell(`tr '\\0' '\\n' </proc/${pid}/environ`)).split("\n");
    return variables.includes(`SINK_PASSWORD=${PASSWORD}`) && variables.includes("TABLES=orders,order_items");
  });
});

test("R34: job users cannot reach the metadata service, which the agent reaches", async () => {
  const [unit = "", pid = 0] = [...(await daemons())][0] ?? [];
  const ask = (user: string) =>
    shell(
      `setpriv --reuid=${user} --clear-groups curl -sS -m 20 -o /dev/null -w '%{http_code}' -X PUT ` +
        "-H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token 2>&1",
    );

  // What holds where control groups are of version 2, as on Amazon Linux, and what holds everywhere.
  const denied = (await property(unit, "IPAddressDeny")).split(" ");
  expect(denied.sort()).toEqual(["169.254.169.254/32", "fd00:ec2::254/128"]);
  expect(await ask(await worker.exec("stat", "-c", "%u", `/proc/${pid}`))).toMatch(/^curl: \(7\)/);
  expect(await ask("holdfast-worker")).toBe("200");
});

test("R34: secrets: a job's credentials are in its daemon's environment and its 0400 file, and in no argument, log, property, message or core", async () => {
  const units = await daemons();
  const victim = [...units.keys()].find((unit) => unit.includes(doomed.jobId)) ?? "";
  const pids = [...units.values()].map(String);
  // WHEN one crashes, and the agent does
  await worker.exec("systemctl", "kill", "--signal=SEGV", victim);
  await worker.until("its end is reported", () => controlPlane.messagesOf("report").length > 0);
  const registrations = controlPlane.messagesOf("register").length;
  await worker.exec("systemctl", "kill", "--kill-whom=main", "--signal=ABRT", AGENT);
  await worker.until("it is back", () => controlPlane.messagesOf("register").length > registrations);
  await everyJobServes(units.size - 1);

  await look();
  for (const canary of [PASSWORD, encodeURIComponent(PASSWORD), PRIVATE_KEY_LINE]) {
    expect(await holding(canary, ARGUMENTS)).toEqual([]);
    const holders = (await holding(canary, ENVIRONMENTS)).map((path) => path.split("/")[2]);
    expect(pids).toEqual(expect.arrayContaining(holders));
    expect(holders.length > 0).toBe(canary !== PRIVATE_KEY_LINE);
    expect(await holding(canary, DISKS)).toEqual(canary === PRIVATE_KEY_LINE ? [keyFile(units)] : []);
    expect(JSON.stringify([controlPlane.messages, aws.calls])).not.toContain(canary);
  }
  const [, keyedPid] = [...units].find(([unit]) => unit.includes(keyed.jobId)) ?? [];
  const owner = await worker.exec("stat", "-c", "%u", `/proc/${keyedPid}`);
  expect(await worker.exec("stat", "-c", "%a %u", keyFile(units))).toBe(`400 ${owner}`);
  expect(await worker.exec("stat", "-f", "-c", "%T", keyFile(units))).toMatch(/^(tmpfs|ramfs)$/);
  expect(
    await shell("find / -xdev \\( -name 'core' -o -name 'core.*' \\) -type f -newer /etc/holdfast/worker.json"),
  ).toBe("");
});

test("R22: a session's token is in the agent's memory alone", async () => {
  await look();
  const tokens = new Set(controlPlane.messagesOf("heartbeat").map(({ token }) => token));
  expect(tokens.size).toBeGreaterThan(1);
  for (const token of tokens) expect(await holding(token, `${ARGUMENTS} ${ENVIRONMENTS} ${DISKS}`)).toEqual([]);
});

test("R30: an agent that is killed, hands over or is replaced by another version leaves every daemon running, and the next one takes all up", async () => {
  const before = await daemons();
  const ports = () =>
    shell("grep -h '\"daemon started\"' /var/log/holdfast/worker-agent.log | grep -o '\"port\":[0-9]*'");
  const given = (await ports()).split("\n");
  expect(new Set(given).size).toBe(given.length);
  const lives: readonly (readonly [string, string])[] = [
    ["killed", `systemctl kill --kill-whom=main --signal=KILL ${AGENT}`],
    ["handed over", `systemctl kill --kill-whom=main --signal=HUP ${AGENT}; systemctl start ${AGENT}`],
    [
      "upgraded",
      "cd /var/lib/holdfast-worker/agents && mkdir -m 755 next && { cat worker-agent.mjs; echo '// next'; } >next/worker-agent.mjs && " +
        `ln -sfn next/worker-agent.mjs worker-agent.mjs && systemctl kill --kill-whom=main --signal=KILL ${AGENT}`,
    ],
  ];
  for (const [how, command] of lives) {
    const [known, registrations] = [await found(), controlPlane.messagesOf("register").length];
    await shell(command);
    await worker.until(`all are taken up after it was ${how}`, async () => (await found()) === known + before.size);
    await worker.until("it is registered", () => controlPlane.messagesOf("register").length > registrations);
    await everyJobServes(before.size);
    expect(await daemons()).toEqual(before);
  }
  expect(await ports()).toBe(given.join("\n"));
  expect(controlPlane.messagesOf("report")).toHaveLength(1);
});

test("R27: the last lines of a daemon that ended unasked are reported, to the very last", async () => {
  const talkative = grantOf();
  await grant(talkative);
  const unit = [...(await daemons()).keys()].find((name) => name.includes(talkative.jobId)) ?? "";
  const reports = () => controlPlane.messagesOf("report").filter(({ body }) => body.jobId === talkative.jobId);

  await worker.exec("systemctl", "kill", "--signal=USR1", unit);
  await worker.until("its end is reported", () => reports().length > 0);

  const [report] = reports();
  const { exitCode = 0, logTail = [] } = (report?.body ?? {}) as Partial<Request<"report">>;
  expect(exitCode).toBe(3);
  expect(logTail).toHaveLength(LAST_LINES);
  expect(logTail).toContain("word 500");
  expect(logTail.join("\n")).toContain("Main process exited, code=exited, status=3");
  // And would be even if they had all come to the journal after it.
  const word = await worker.exec("journalctl", "--quiet", "--output=cat", ...matchesOfEnd(unit));
  expect(logTail).toContain(word.trim());
});

test("what a daemon that ends well has started ends with it, before its end is told", async () => {
  const parent = grantOf();
  await grant(parent);
  const unit = [...(await daemons()).keys()].find((name) => name.includes(parent.jobId)) ?? "";
  const reports = () => controlPlane.messagesOf("report").filter(({ body }) => body.jobId === parent.jobId);
  // Until that is taken nothing of the unit is cleared away.
  controlPlane.intercept = ({ name }) => (name === "report" ? refusal(503, "busy", "later", 100) : undefined);
  try {
    await worker.exec("systemctl", "kill", "--kill-whom=main", "--signal=USR2", unit);
    await worker.until("its end is told", () => reports().length > 0);

    expect(reports()[0]?.body).toMatchObject({ exitCode: 0 });
    expect(await property(unit, "SubState")).toBe("exited");
    expect(await shell("pgrep -fxc 'sleep 432[1]' || true")).toBe("0");
  } finally {
    controlPlane.intercept = undefined;
  }
  await worker.until("it has left", () => running().every(({ jobId }) => jobId !== parent.jobId));
});

describe("R24: daemons end with the lease, whatever has become of the agent, and before their jobs may be another's; those that are to be kept stay", () => {
  /** What a control plane would wait for that gives so short a lease. */
  const TIMING = LeaseTiming.parse({ heartbeatMs: 1_000, workerLeaseMs: 3_000 });
  /** When the control plane received the last heartbeat: its own lease counts from then, and the worker's from before. */
  let heardAt = 0;
  const signal = (unit: string, name: "STOP" | "CONT" | "KILL") =>
    worker.exec("systemctl", "kill", "--kill-whom=main", `--signal=${name}`, unit);
  /** The watchdog, which is set to the lease, says that the guard has heard of the short one. */
  const shortLease = async () => {
    controlPlane.leaseMs = TIMING.workerLeaseMs;
    await worker.until("the guard holds it", async () => /^\d(\.\d+)?s$/.test(await property(GUARD, "WatchdogUSec")));
  };
  /** What the machine sends to the control plane, and to everyone else here, is lost without a word. */
  const cutOff = () => shell(`ip neigh replace ${hostAddress()} lladdr 02:00:00:00:00:00 nud permanent dev eth0`);
  const mended = () => shell(`ip neigh del ${hostAddress()} dev eth0 2>/dev/null || true`);
  const hostAddress = () => bench.lab().network.hostAddress;
  /** Where units have groups of their own for the processors, the one has hardly any; elsewhere all others come before it. */
  const starve = (unit: string) =>
    shell(
      `systemctl set-property --runtime ${unit} CPUQuota=1%; chrt --all-tasks --idle --pid 0 $(systemctl show --value -p MainPID ${unit})`,
    );
  const BUSY = "busy.service";
  const keepBusy = () =>
    shell(
      `systemd-run --quiet --unit=${BUSY} sh -c 'for n in $(seq $((2 * $(nproc)))); do while :; do :; done & done; wait'`,
    );

  /** Does harm, and waits until systemd has ended what may not outlive the lease. @returns the units. */
  async function endsAfter(harm: () => Promise<unknown>): Promise<readonly string[]> {
    const bound = [...(await daemons()).keys()].filter((unit) => !unit.includes(keptJob.jobId));
    expect(bound).not.toEqual([]);
    await harm();
    const movedAt = heardAt + jobsMovedAfterMs(TIMING);
    await worker.until("those that are bound have ended", async () => {
      const stopped = await unitsThatAre("stopped", worker);
      return bound.every((unit) => stopped.has(unit));
    });
    const ends = await unitsThatAre("stopped", worker);
    for (const unit of bound) expect(ends.get(unit)).toBeLessThan(movedAt);
    expect([...(await daemons()).keys()]).toEqual([expect.stringContaining(keptJob.jobId)]);
    return bound;
  }

  beforeEach(async () => {
    await worker.until("the guard is there", async () => (await property(GUARD, "ActiveState")) === "active");
    await grant(grantOf());
    controlPlane.intercept = ({ name }) => {
      if (name === "heartbeat") heardAt = machineInstant().monotonicMs;
      return undefined;
    };
  });
  afterEach(async () => {
    controlPlane.leaseMs = 30_000;
    controlPlane.intercept = undefined;
    await signal(AGENT, "CONT");
    // Where it was killed, without the pause before its next start; systemd would take so many for a program that cannot be kept up.
    await worker.exec("systemctl", "reset-failed", AGENT, GUARD);
    await worker.exec("systemctl", "start", "--no-block", AGENT);
    await worker.until("the agent goes on with the one that is left", () => running().length === 1);
  });

  test.each<[string, () => Promise<unknown>]>([
    [
      "the agent is killed, and the control plane does not take it back",
      async () => {
        await shortLease();
        controlPlane.intercept = () => refusal(503, "busy", "later", 1_000);
        await signal(AGENT, "KILL");
      },
    ],
    [
      "the agent stands still",
      async () => {
        await shortLease();
        await signal(AGENT, "STOP");
      },
    ],
    [
      "agent and guard stand still",
      async () => {
        await shortLease();
        await signal(AGENT, "STOP");
        await signal(GUARD, "STOP");
      },
    ],
  ])("%s", async (_, harm) => {
    await endsAfter(harm);
  });

  test("the machine is cut off from the control plane, and agent and guard have hardly a processor's time", async () => {
    try {
      await endsAfter(async () => {
        await shortLease();
        await Promise.all([starve(AGENT), starve(GUARD), keepBusy()]);
        await cutOff();
      });
    } finally {
      await worker.exec("systemctl", "kill", "--signal=KILL", BUSY);
      await worker.exec("systemctl", "set-property", "--runtime", AGENT, "CPUQuota=");
      await worker.exec("systemctl", "set-property", "--runtime", GUARD, "CPUQuota=");
      await shell(`chrt --all-tasks --other --pid 0 $(systemctl show --value -p MainPID ${AGENT})`);
      await mended();
    }
  });

  test("the guard is killed, then the agent: every daemon of the old guard is being ended when the new one begins, and none reaches the metadata service meanwhile", async () => {
    await grant(grantOf({ spec: { tables: ["deaf"] } }));
    const [restarts, old] = [Number(await property(GUARD, "NRestarts")), await property(GUARD, "MainPID")];
    const changes = "/run/rule-changes";
    await shell(`systemd-run --quiet --unit=watch-rules -p StandardOutput=file:${changes} ip monitor rule`);
    await worker.until("changes are noted", async () => (await shell("pgrep -fc 'ip monitor rul[e]'")) === "1");

    const bound = await endsAfter(async () => {
      await signal(GUARD, "KILL");
      await signal(AGENT, "KILL");
    });

    await worker.until("another guard is there", async () => (await property(GUARD, "ActiveState")) === "active");
    expect(Number(await property(GUARD, "NRestarts"))).toBe(restarts + 1);
    expect(await shell(`pgrep -fx '[^ ]*node /opt/holdfast/worker-agent.mjs guard'`)).toBe(
      await property(GUARD, "MainPID"),
    );
    expect(await property(GUARD, "MainPID")).not.toBe(old);
    const begun = Number(await property(GUARD, "ExecMainStartTimestampMonotonic")) / 1_000;
    const told = await unitsThatAre("stopping", worker);
    for (const unit of bound) expect(told.get(unit)).toBeLessThanOrEqual(begun);
    // One change that it makes itself comes after all that the guard made.
    await shell("ip rule add pref 999 to 192.0.2.1 prohibit; ip rule del pref 999");
    await worker.until("the last is noted", async () => /Deleted 999:/.test(await shell(`cat ${changes}`)));
    expect(await shell(`grep -F 169.254.169.254 ${changes} || true`)).toBe("");
    expect(await shell("ip rule list pref 1000")).toContain("169.254.169.254");
    await worker.exec("systemctl", "stop", "watch-rules");
  });
});
