import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { SeverableProxy } from "../../../scripts/chaos/severable-proxy";
import { Worker } from "../../../scripts/chaos/worker";
import { identify } from "../../../scripts/up/process-identity";
import { useScratch } from "../../support/scratch";
import { unreadable } from "../../support/unreadable";

const scratch = useScratch();
const daemons: ChildProcess[] = [];
afterEach(() => {
  jest.restoreAllMocks();
  for (const daemon of daemons.splice(0)) daemon.kill("SIGKILL");
});

/** A way that leads nowhere. */
const road = { port: 9 } as SeverableProxy;

/** A program that stands in for a daemon: the leader of its group, until it is ended. */
function standIn() {
  const daemon = spawn(process.execPath, ["--eval", "setInterval(() => {}, 1_000)"], {
    detached: true,
    stdio: "ignore",
  });
  daemons.push(daemon);
  const { pid = 0 } = daemon;
  return { pid, start: identify(pid)?.start, ended: once(daemon, "exit") };
}

test.each(["EIO", "ENFILE"])(
  "a worker ends its daemon though the system does not say at first whether it lives: %s",
  async (code) => {
    // GIVEN a daemon of a worker
    const daemon = standIn();
    const worker = new Worker({
      number: 0,
      directory: scratch.path,
      deploymentTokenFile: scratch.write("token", "none"),
      releaseKeyFile: scratch.write("key", "none"),
      slots: 1,
      roads: { "control-plane": road, source: road, sink: road },
    });
    scratch.write(join(worker.name, "jobs", "a", "job.json"), JSON.stringify({ jobId: "a", fence: 1 }));
    scratch.write(join(worker.name, "jobs", "a", "process"), `${daemon.pid}\n${daemon.start}\n`);
    expect(worker.daemons()).toEqual([{ pid: daemon.pid, jobId: "a", fence: 1 }]);

    // WHEN the worker is to end while the system does not answer once
    let unanswered = 1;
    unreadable(`/proc/${daemon.pid}/stat`, code, () => unanswered-- > 0);
    await worker.destroy();

    // THEN the daemon has been ended
    expect(await daemon.ended).toEqual([null, "SIGKILL"]);
  },
);
