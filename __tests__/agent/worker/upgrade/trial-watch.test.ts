import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLog } from "../../../../agent/host/log";
import { startOf } from "../../../../agent/worker/daemon/process-identity";
import { machineInstant } from "../../../../agent/worker/lease-keeper";
import { parseLocalConfig } from "../../../../agent/worker/local-config";
import { type Trial, type TrialSign, trialFiles } from "../../../../agent/worker/upgrade/trial";
import { AGENT_ENDED, isWatched, judged, rollBack, watchTrial } from "../../../../agent/worker/upgrade/trial-watch";
import { useScratch } from "../../../support/scratch";
import { unreadable } from "../../../support/unreadable";

const scratch = useScratch();
afterEach(() => jest.restoreAllMocks());

const LIVING: TrialSign = { pid: process.pid, start: startOf(process.pid), failures: 0 };
/** The same number, of a process that has ended. */
const ENDED: TrialSign = { ...LIVING, start: "1" };
const WELL: TrialSign = { ...LIVING, lease: { sentAt: machineInstant(), leaseMs: 3_600_000 } };
/** Its last heartbeat that was answered has given a lease that is over. */
const HUNG: TrialSign = { ...LIVING, lease: { sentAt: machineInstant(), leaseMs: 0 } };
const AGENT: Pick<Trial, "program" | "gateMs"> = { program: "agent", gateMs: 60_000 };
const DAEMON: typeof AGENT = { ...AGENT, program: "daemon" };

test.each<[string, string | undefined, Parameters<typeof judged>]>([
  ["that is well is on trial until the gate's last moment", undefined, [AGENT, WELL, WELL, 59_999]],
  ["that is well has passed then", "healthy", [AGENT, WELL, WELL, 60_000]],
  ["that was never heard has failed then", "no heartbeat was answered within 60 s", [AGENT, LIVING, LIVING, 60_000]],
  ["that was heard and then hung is on trial until then", undefined, [AGENT, HUNG, HUNG, 59_999]],
  ["that was heard and then hung has failed then", "its lease ran out during the trial", [AGENT, WELL, HUNG, 60_000]],
  ["that never started has failed then", "the agent did not start within 60 s", [AGENT, undefined, undefined, 60_000]],
  ["that ended has failed at once", AGENT_ENDED, [AGENT, ENDED, ENDED, 1]],
  ["that ended has failed although the next life is well", AGENT_ENDED, [AGENT, ENDED, WELL, 60_000]],
  [
    "of the daemon that fails a job has failed at once",
    expect.stringMatching(/^1 of the jobs/),
    [DAEMON, WELL, { ...WELL, failures: 1 }, 1],
  ],
  ["of the agent is not charged with a job that fails", undefined, [AGENT, WELL, { ...WELL, failures: 1 }, 1]],
])("R31: a version %s", (_, verdict, trial) => expect(judged(...trial)).toEqual(verdict));

test("R31: a version of which the system does not say whether it lives is still on trial", () => {
  unreadable(`/proc/${process.pid}/stat`, "EMFILE");

  expect(judged(AGENT, WELL, WELL, 59_999)).toBeUndefined();
});

test("R31: the gate is 60 s where none is given", () => {
  const { upgrade } = parseLocalConfig(
    JSON.stringify({
      controlPlaneUrl: "http://127.0.0.1:7600",
      deploymentTokenFile: "/token",
      workerId: "worker-1",
      stateDirectory: "/state",
      daemon: { version: "0.1.0", command: ["daemon"] },
      upgrade: { releaseKeyFile: "/release-key.pem" },
    }),
  );
  expect(upgrade?.gateSeconds).toBe(60);
});

describe("R31: a trial whose files", () => {
  const TRIAL: Trial = {
    campaignId: "11111111-1111-4111-8111-111111111111",
    program: "agent",
    version: "1.1.0",
    link: "/agents/agent.mjs",
    from: "/agents/1.0.0/agent.mjs",
    to: "/agents/1.1.0/agent.mjs",
    gateMs: 0,
    state: "trying",
    detail: "",
  };
  const path = (name: string) => join(scratch.path, `upgrade${name}.json`);
  const stateAfter = async (line: (line: string) => void = () => {}) => {
    await watchTrial(scratch.path, createLog(line));
    jest.restoreAllMocks();
    return JSON.parse(readFileSync(path(""), "utf8")).state;
  };
  beforeEach(async () => {
    const files = trialFiles(scratch.path);
    await files.trial.write(TRIAL);
    await files.sign.write(WELL);
  });

  test.each(["EIO", "EMFILE", "EACCES"])("cannot be read at first (%s) goes on when they can", async (code) => {
    let looks = 0;
    unreadable(path(""), code, () => looks++ < 2);
    const lines: string[] = [];

    expect(await stateAfter((line) => lines.push(line))).toBe("healthy");
    expect(lines.filter((line) => line.includes("trial not read") && line.includes(code))).toHaveLength(2);
  });

  test("cannot be read in ten minutes is given up with what was wrong", async () => {
    unreadable(path(""), "EIO");
    const patience = jest.spyOn(AbortSignal, "timeout").mockReturnValue(AbortSignal.abort());

    await expect(stateAfter()).rejects.toThrow(`${path("")} cannot be read`);
    expect(patience).toHaveBeenCalledWith(600_000);
  });

  test.each(["", "-sign"])("upgrade%s.json cannot be read any more goes on as they said last", async (name) => {
    await trialFiles(scratch.path).trial.write({ ...TRIAL, gateMs: 100 });
    let looks = 0;
    unreadable(path(name), "EIO", () => looks++ > 0);

    expect(await stateAfter()).toBe("healthy");
  });

  test("are torn goes on as they said last", async () => {
    await trialFiles(scratch.path).trial.write({ ...TRIAL, gateMs: 100 });
    let looks = 0;
    unreadable(path("-sign"), "EIO", () => {
      // The trial has been read then.
      if (looks++ === 0) writeFileSync(path(""), '{"state":"try');
      return false;
    });

    expect(await stateAfter()).toBe("healthy");
  });

  test("are gone is over", async () => {
    rmSync(path(""));

    await watchTrial(
      scratch.path,
      createLog(() => {}),
    );

    expect(trialFiles(scratch.path).trial.read()).toBeUndefined();
    expect(isWatched(trialFiles(scratch.path))).toBe(false);
  });

  test("do not tell who watches it is watched by one more", async () => {
    await trialFiles(scratch.path).watcher.write({ pid: process.pid, start: startOf(process.pid) });
    unreadable(path("-watcher"), "EIO");

    expect(isWatched(trialFiles(scratch.path))).toBe(false);
    expect(await stateAfter()).toBe("healthy");
  });

  test("do not tell at once which agent is on trial are read until they do, and it is ended", async () => {
    const agent = spawn(process.execPath, ["--eval", "setInterval(() => {}, 1_000)"], { stdio: "ignore" });
    try {
      const ended = once(agent, "exit");
      const files = trialFiles(scratch.path);
      const pid = agent.pid ?? 0;
      await files.sign.write({ ...WELL, pid, start: startOf(pid) });
      let looks = 0;
      unreadable(path("-sign"), "EIO", () => looks++ === 0);
      const link = join(scratch.path, "agent.mjs");

      await rollBack(
        { ...TRIAL, link },
        "unwell",
        files,
        createLog(() => {}),
      );

      expect(await ended).toEqual([null, "SIGKILL"]);
      expect([readlinkSync(link), files.trial.read()?.state]).toEqual([TRIAL.from, "rolled_back"]);
    } finally {
      agent.kill("SIGKILL");
    }
  });

  test("name a process that has ended, and whose number another has, turn the link back and end nobody", async () => {
    const files = trialFiles(scratch.path);
    await files.sign.write(ENDED);
    const kill = jest.spyOn(process, "kill").mockReturnValue(true);

    await rollBack(
      { ...TRIAL, link: join(scratch.path, "agent.mjs") },
      "unwell",
      files,
      createLog(() => {}),
    );

    expect(kill).not.toHaveBeenCalled();
    expect(files.trial.read()?.state).toBe("rolled_back");
  });

  test("name another process than at first is of a version that ended, however well the next one is", async () => {
    const [first, second] = [1, 2].map(() => spawn("sleep", ["600"], { stdio: "ignore" }));
    try {
      const files = trialFiles(scratch.path);
      const signOf = (pid = 0) => ({ ...WELL, pid, start: startOf(pid) });
      await files.trial.write({ ...TRIAL, link: join(scratch.path, "agent.mjs"), gateMs: 2_000 });
      await files.sign.write(signOf(first?.pid));
      let looks = 0;
      unreadable(path("-sign"), "EIO", () => {
        // The first was seen then.
        if (looks++ === 1) {
          first?.kill("SIGKILL");
          writeFileSync(path("-sign"), JSON.stringify(signOf(second?.pid)));
        }
        return false;
      });

      expect(await stateAfter()).toBe("rolled_back");
      expect(files.trial.read()?.detail).toBe(AGENT_ENDED);
    } finally {
      for (const child of [first, second]) child?.kill("SIGKILL");
    }
  });
});
