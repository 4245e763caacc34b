import { startOf } from "../../../../agent/worker/daemon/process-identity";
import { parseLocalConfig } from "../../../../agent/worker/local-config";
import type { Trial, TrialSign } from "../../../../agent/worker/upgrade/trial";
import { AGENT_ENDED, judged } from "../../../../agent/worker/upgrade/trial-watch";
import { unreadable } from "../../../support/unreadable";

afterEach(() => jest.restoreAllMocks());

const LIVING: TrialSign = { pid: process.pid, start: startOf(process.pid), answered: false, failures: 0 };
/** The same number, of a process that has ended. */
const ENDED: TrialSign = { ...LIVING, start: "1" };
const WELL: TrialSign = { ...LIVING, answered: true };
const AGENT: Pick<Trial, "program" | "gateMs"> = { program: "agent", gateMs: 60_000 };
const DAEMON: typeof AGENT = { ...AGENT, program: "daemon" };

test.each<[string, string | undefined, Parameters<typeof judged>]>([
  ["that is well is on trial until the gate's last moment", undefined, [AGENT, WELL, WELL, 59_999]],
  ["that is well has passed then", "healthy", [AGENT, WELL, WELL, 60_000]],
  ["that was never heard has failed then", "no heartbeat was answered within 60 s", [AGENT, LIVING, LIVING, 60_000]],
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
