import { execFileSync, spawn } from "node:child_process";
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  promises,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { getPriority } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { reason } from "../../../../agent/host/log";
import type { DaemonProcess } from "../../../../agent/worker/daemon/daemon-host";
import { processHost, recordedDaemons } from "../../../../agent/worker/daemon/process-host";
import { machineInstant } from "../../../../agent/worker/lease-keeper";
import { useScratch } from "../../../support/scratch";
import { unreadable } from "../../../support/unreadable";
import { eventually } from "../../daemon/eventually";
import { recordOf } from "./daemon-record";

const scratch = useScratch();
const started: DaemonProcess[] = [];

afterEach(async () => {
  jest.restoreAllMocks();
  for (const daemon of started.splice(0)) {
    await daemon.signal("SIGKILL");
    await daemon.ended;
    await daemon.forget();
  }
});

const hostOf = (...command: [string, ...string[]]) => processHost({ command, directory: scratch.path });
const leaseOf = (leaseMs: number) => ({ sentAt: machineInstant(), leaseMs });
const pidOf = ({ record }: DaemonProcess) =>
  recordedDaemons(scratch.path).find((found) => found.record.jobId === record.jobId)?.pid ?? 0;
const group = (pid: number) =>
  execFileSync("pgrep", ["-g", `${pid}`], { encoding: "utf8" })
    .trim()
    .split("\n");

async function start(host: ReturnType<typeof hostOf>, record = recordOf(), files: Record<string, string> = {}) {
  const daemon = await host.start({ record, variables: {}, files });
  started.push(daemon);
  return daemon;
}

/** The program has taken the launcher's place. */
async function runs(daemon: DaemonProcess, program: string): Promise<number> {
  for (;;) {
    const pid = pidOf(daemon);
    if (pid > 0 && readFileSync(`/proc/${pid}/comm`, "utf8").trim() === program) return pid;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("R24: a daemon ends with the newest lease that was handed on, although nobody acts then", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host);
  await runs(daemon, "sleep");

  host.holdLease(leaseOf(1_000));

  expect(await daemon.ended).toEqual({ status: null, signal: "SIGTERM" });
});

test("R24: one that stands still, or does not listen, ends as well", async () => {
  // The launcher is a bash, too, and becomes the sleep.
  const host = hostOf("bash", "-c", "trap '' TERM; exec sleep 600");
  host.holdLease(leaseOf(600_000));
  const [still, deaf] = [await start(host), await start(host)];
  process.kill(await runs(still, "sleep"), "SIGSTOP");
  await runs(deaf, "sleep");

  host.holdLease(leaseOf(1_000));

  expect(await still.ended).toEqual({ status: null, signal: "SIGKILL" });
  expect(await deaf.ended).toEqual({ status: null, signal: "SIGKILL" });
});

test("a word that reaches the leash in two parts is one word: no daemon ends with the half of a lease", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host);
  const pid = await runs(daemon, "sleep");
  const say = (text: string) => writeFileSync(join(scratch.path, daemon.record.jobId, "leash"), text, { flag: "r+" });

  // WHEN the leash's look ends within the word
  say("+60");
  await pause(1_500);
  say("0\n");
  await pause(1_500);

  // THEN it heard of 600 seconds, not of none
  expect(group(pid)).toHaveLength(2);
  host.holdLease(leaseOf(1_000));
  expect(await daemon.ended).toEqual({ status: null, signal: "SIGTERM" });
});

test("R24: another life of the agent prolongs the lease of those it takes up", async () => {
  const first = hostOf("sleep", "600");
  first.holdLease(leaseOf(600_000));
  const pid = await runs(await start(first), "sleep");

  const second = hostOf("sleep", "600");
  const [found] = await second.survivors();
  second.holdLease(leaseOf(1_000));

  expect(pidOf(found as DaemonProcess)).toBe(pid);
  await found?.ended;
});

/** Of /proc/PID/stat, counted from 0, where the program's name holds no space. */
const START_FIELD = 21;

test("R30: a process that has a daemon's pid and another start is none of ours: it is not taken up, and not signalled", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const [ended, stranger] = [await start(host), await start(host)];
  await runs(ended, "sleep");
  const pid = await runs(stranger, "sleep");
  const { jobId } = ended.record;
  await ended.signal("SIGKILL");
  await ended.ended;
  // WHEN the system gives its number to another process; two that begin at once may have the same start
  const stat = readFileSync(join(scratch.path, jobId, "process"), "utf8")
    .split("\n")
    .slice(1)
    .join("\n");
  const others = stat.split(" ").with(0, `${pid}`).with(START_FIELD, "1");
  writeFileSync(join(scratch.path, jobId, "process"), `${pid}\n${others.join(" ")}`);

  const alive = await hostOf("sleep", "600").survivors();

  expect(alive.map(({ record }) => record.jobId)).toEqual([stranger.record.jobId]);
  expect(readFileSync(`/proc/${pid}/comm`, "utf8").trim()).toBe("sleep");
});

/** The system gives a daemon's number to a stranger: another start, as proc(5) tells it. */
function reuse(pid: number): void {
  const read = fs.readFileSync;
  jest.spyOn(fs, "readFileSync").mockImplementation(((path: string, encoding: BufferEncoding) => {
    const text = read(path, encoding);
    if (path !== `/proc/${pid}/stat`) return text;
    return text.split(" ").with(START_FIELD, "1").join(" ");
  }) as typeof fs.readFileSync);
}

test("R30: a daemon that was taken up has ended once another process has its pid, and that one is never signalled", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host, recordOf({ onDisconnect: "keep" }));
  const pid = await runs(daemon, "sleep");
  const [found] = await hostOf("sleep", "600").survivors();

  reuse(pid);

  expect(await found?.ended).toEqual({ status: null, signal: null });
  await found?.signal("SIGKILL");
  // The stranger is still there to be told something else.
  await daemon.signal("SIGTERM");
  expect(await daemon.ended).toEqual({ status: null, signal: "SIGTERM" });
});

test("R30: a daemon of which the system does not say whether it lives is taken up, and is followed until it says so", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host, recordOf({ onDisconnect: "keep" }));
  const pid = await runs(daemon, "sleep");
  unreadable(`/proc/${pid}/stat`, "EMFILE");

  const [found] = await hostOf("sleep", "600").survivors();

  expect(found?.record).toEqual(daemon.record);
  expect(existsSync(join(scratch.path, daemon.record.jobId, "process"))).toBe(true);
  await expect(found?.signal("SIGKILL")).rejects.toThrow(`whether process ${pid} lives cannot be told`);
  const looks = jest.mocked(fs.readFileSync).mock.calls.length;
  await eventually("it is looked at again", async () =>
    expect(jest.mocked(fs.readFileSync).mock.calls.length).toBeGreaterThan(looks + 1),
  );
  expect(await Promise.race([found?.ended, "not ended"])).toBe("not ended");

  jest.restoreAllMocks();
  await found?.signal("SIGKILL");
  expect(await found?.ended).toEqual({ status: null, signal: null });
});

test("a daemon whose output cannot be opened leaves neither its folder nor its leash's pipe", async () => {
  const host = hostOf("true");
  host.holdLease(leaseOf(600_000));
  const { open } = promises;
  jest.spyOn(promises, "open").mockImplementation((async (...given: Parameters<typeof open>) => {
    if (!String(given[0]).endsWith("output.log")) return await open(...given);
    throw new Error("EMFILE");
  }) as typeof open);
  const opened = jest.spyOn(fs, "openSync");
  const closed = jest.spyOn(fs, "closeSync");

  await expect(start(host)).rejects.toThrow("EMFILE");

  const [pipe] = opened.mock.results;
  expect(closed.mock.calls).toEqual([[pipe?.value]]);
  expect(readdirSync(scratch.path)).toEqual([]);
});

test("R30: an agent starts although what an ended daemon has left cannot be removed", async () => {
  const host = hostOf("true");
  host.holdLease(leaseOf(600_000));
  await (await start(host)).ended;
  const remove = jest.spyOn(promises, "rm").mockRejectedValueOnce(new Error("ENOTEMPTY"));

  expect(await hostOf("true").survivors()).toEqual([]);

  expect(remove).toHaveBeenCalled();
});

test("R30: an agent that cannot read what its earlier life has left does not take it for nothing, and tells what to do", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const { record } = await start(host, recordOf({ onDisconnect: "keep" }));
  for (const file of ["job.json", "process"]) {
    const path = join(scratch.path, record.jobId, file);
    unreadable(path, "EMFILE");

    const told = await hostOf("sleep", "600").survivors().catch(reason);

    expect(told).toBe(
      `${path} cannot be read: make it readable and start the agent again, which takes up the daemons that live: EMFILE: ${path}`,
    );
    jest.restoreAllMocks();
  }
});

test("R30: nothing is signalled by the pid of a daemon that has ended", async () => {
  const host = hostOf("true");
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host);
  await daemon.ended;
  const kill = jest.spyOn(process, "kill");

  await daemon.signal("SIGKILL");

  expect(kill).not.toHaveBeenCalled();
});

test("R23: a daemon yields to the agent that started it, by itself and as a session; its leash does not", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));

  const daemon = await runs(await start(host), "sleep");

  const [leash] = group(daemon).filter((pid) => Number(pid) !== daemon);
  const yielding = Math.min(19, getPriority() + 10);
  expect([getPriority(daemon), getPriority(Number(leash))]).toEqual([yielding, getPriority()]);
  const session = `/proc/${daemon}/autogroup`;
  // Where the system knows of sessions.
  if (existsSync(session)) {
    await eventually("it yields as a session", async () =>
      expect(readFileSync(session, "utf8")).toMatch(/ nice 10\n$/),
    );
  }
});

test("R23: what a daemon says goes into its file by itself: however much it is, the agent has nothing to do with it", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host);

  const pid = await runs(daemon, "sleep");

  const output = join(scratch.path, daemon.record.jobId, "output.log");
  expect([1, 2].map((descriptor) => readlinkSync(`/proc/${pid}/fd/${descriptor}`))).toEqual([output, output]);
});

test("without a lease nothing is started; one that is to be kept has no leash", async () => {
  const host = hostOf("sleep", "600");
  await expect(start(host)).rejects.toThrow("the lease is over");

  host.holdLease(leaseOf(600_000));
  const kept = await start(host, recordOf({ onDisconnect: "keep" }));
  const bound = await start(host);

  expect(group(await runs(kept, "sleep"))).toHaveLength(1);
  expect(group(await runs(bound, "sleep"))).toHaveLength(2);
});

test.each(["stop", "keep"] as const)(
  "what a daemon has started ends with it: nothing of a job whose end is told runs on (%s)",
  async (onDisconnect) => {
    const host = hostOf("bash", "-c", "trap '' TERM; sleep 600 & exit 1");
    host.holdLease(leaseOf(600_000));
    const daemon = await start(host, recordOf({ onDisconnect }));
    const pid = await eventually("it is written down", async () => {
      expect(pidOf(daemon)).toBeGreaterThan(0);
      return pidOf(daemon);
    });

    expect(await daemon.ended).toEqual({ status: 1, signal: null });

    await eventually("its group is empty", async () => expect(() => group(pid)).toThrow());
  },
);

test("what a daemon that was taken up has started ends with it, too, before its end is told", async () => {
  // GIVEN one that another life of the agent has started, which is gone
  const leader = spawn("bash", ["-c", "sleep 600 & sleep 601; exit 1"], { detached: true, stdio: "ignore" });
  const pid = leader.pid ?? 0;
  await eventually("it has started another", async () => expect(group(pid).length).toBeGreaterThanOrEqual(3));
  const record = recordOf({ onDisconnect: "keep" });
  scratch.write(`${record.jobId}/job.json`, JSON.stringify(record));
  scratch.write(`${record.jobId}/process`, `${pid}\n${readFileSync(`/proc/${pid}/stat`, "utf8")}`);
  const [found] = await hostOf("sleep", "600").survivors();

  // WHEN
  process.kill(pid, "SIGKILL");
  await found?.ended;

  // THEN
  try {
    await eventually("its group is empty", async () => expect(() => group(pid)).toThrow(), 5_000);
  } finally {
    spawn("kill", ["-KILL", "--", `-${pid}`], { stdio: "ignore" });
  }
});

test("R34: a private key is a file that only its daemon's user may read, and goes with it", async () => {
  const host = hostOf(
    "bash",
    "-c",
    'cat "$SINK_SNOWFLAKE_PRIVATE_KEY_PATH"; stat -c %a "$SINK_SNOWFLAKE_PRIVATE_KEY_PATH"',
  );
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host, recordOf(), { SINK_SNOWFLAKE_PRIVATE_KEY_PATH: "canary-key\n" });

  expect(await daemon.ended).toEqual({ status: 0, signal: null });
  expect(await daemon.lastLines(50)).toEqual(["canary-key", "400"]);
  await daemon.forget();
  expect(() => statSync(join(scratch.path, daemon.record.jobId))).toThrow("ENOENT");
});

test("R34: what a daemon says, and what is kept of it, is for its user's eyes alone", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const daemon = await start(host);
  await runs(daemon, "sleep");

  const folder = join(scratch.path, daemon.record.jobId);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(folder)) expect([name, statSync(join(folder, name)).mode & 0o077]).toEqual([name, 0]);
});

test("R34: a daemon that crashes leaves no core of its credentials, not even to a program that takes all cores", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));

  const pid = await runs(await start(host), "sleep");

  expect(readFileSync(`/proc/${pid}/limits`, "utf8")).toMatch(/^Max core file size +1 +1 /m);
});

test("R34: a private key whose daemon could not be started is not left behind", async () => {
  const host = hostOf("sleep", "600");
  host.holdLease(leaseOf(600_000));
  const files = { SINK_SNOWFLAKE_PRIVATE_KEY_PATH: "canary-key\n" };
  // No launcher is found on this path.
  const variables = { PATH: join(scratch.path, "nothing") };

  await expect(host.start({ record: recordOf(), variables, files })).rejects.toThrow("the daemon did not start");

  expect(readdirSync(scratch.path)).toEqual([]);
});

test("R30: a daemon that cannot be written down, as on a full disk, does not run: no later life of the agent would know of it", async () => {
  const host = hostOf("/bin/sleep", "600");
  host.holdLease(leaseOf(600_000));
  // The launcher finds nothing that it writes with.
  const programs = join(scratch.path, "programs");
  mkdirSync(programs);
  symlinkSync(execFileSync("which", ["bash"], { encoding: "utf8" }).trim(), join(programs, "bash"));
  const record = recordOf({ onDisconnect: "keep" });
  const daemon = await host.start({ record, variables: { PATH: programs }, files: {} });
  started.push(daemon);

  expect(await daemon.ended).toEqual({ status: 73, signal: null });
});

test("R30: a daemon that is still to be written down when the agent's next life looks for daemons does not run: nobody would know of it", async () => {
  // GIVEN a machine on which the launcher takes long to say what it is
  const bin = join(scratch.path, "bin");
  const turn = join(bin, "turn");
  scratch.write("bin/cat", `#!/bin/sh\nuntil [ -e ${turn} ]; do sleep 0.02; done\nexec /bin/cat "$@"\n`);
  chmodSync(join(bin, "cat"), 0o755);
  const variables = { PATH: `${bin}:${process.env["PATH"]}` };
  const directory = join(scratch.path, "jobs");
  const host = processHost({ command: ["sleep", "600"], directory });
  host.holdLease(leaseOf(600_000));
  const files = { SINK_SNOWFLAKE_PRIVATE_KEY_PATH: "canary-key\n" };
  const daemon = await host.start({ record: recordOf({ onDisconnect: "keep" }), variables, files });
  started.push(daemon);
  const later = processHost({ command: ["sleep", "600"], directory });
  const { jobId } = daemon.record;

  // WHEN
  const found = [await later.survivors(), await later.survivors()];
  const left = readdirSync(join(directory, jobId));
  writeFileSync(turn, "");

  // THEN it is kept from running for as long as it may still try
  expect(found).toEqual([[], []]);
  expect(left).not.toContain("SINK_SNOWFLAKE_PRIVATE_KEY_PATH");
  expect(await daemon.ended).toMatchObject({ status: 73 });
  const longAgo = Date.now() / 1_000 - 120;
  utimesSync(join(directory, jobId, "process"), longAgo, longAgo);
  expect(await later.survivors()).toEqual([]);
  expect(readdirSync(directory)).toEqual([]);
});

test("R34: another life of the agent knows what no log may show of the daemons that it takes up", async () => {
  const first = hostOf("sleep", "600");
  first.holdLease(leaseOf(600_000));
  const variables = { SOURCE_URL: "postgres://cdc:p%40ss@db/shop", SINK_PASSWORD: "sink-word" };
  const files = { SINK_SNOWFLAKE_PRIVATE_KEY_PATH: "MIIEcanary\n" };
  const daemon = await first.start({ record: recordOf(), variables, files });
  started.push(daemon);
  await runs(daemon, "sleep");

  // Between two programs a process shows no environment.
  await eventually("it is known", async () => {
    const [survivor] = await hostOf("sleep", "600").survivors();
    expect(survivor?.secrets).toEqual(["MIIEcanary\n", "MIIEcanary", "sink-word", "p@ss"]);
  });
});
