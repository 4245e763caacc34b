import { readdirSync } from "node:fs";
import { reason } from "../../../../agent/host/log";
import type { DaemonProcess } from "../../../../agent/worker/daemon/daemon-host";
import { processHost } from "../../../../agent/worker/daemon/process-host";
import { machineInstant } from "../../../../agent/worker/lease-keeper";
import { useScratch } from "../../../support/scratch";
import { recordOf } from "./daemon-record";

const scratch = useScratch();

const startWith = (variables: Readonly<Record<string, string>>): Promise<string> => {
  const host = processHost({ command: ["true"], directory: scratch.path });
  host.holdLease({ sentAt: machineInstant(), leaseMs: 600_000 });
  const ended = async (daemon: DaemonProcess) => {
    await daemon.ended;
    await daemon.forget();
    return "started";
  };
  return host.start({ record: recordOf(), variables, files: {} }).then(ended, reason);
};

test("R34: a start that the system refuses tells why without the variable's value, and leaves nothing behind", async () => {
  const canary = "hunter2-canary";

  expect(await startWith({ SINK_PASSWORD: `${canary}\0` })).toBe("the daemon did not start: ERR_INVALID_ARG_VALUE");
  expect(readdirSync(scratch.path)).toEqual([]);
});

test("a variable may be as long as a job's may, and no longer", async () => {
  const longest = "v".repeat(131_071 - "TABLES=".length);

  expect(await startWith({ TABLES: `${longest}v` })).toBe("the daemon did not start: E2BIG");
  expect(readdirSync(scratch.path)).toEqual([]);
  expect(await startWith({ TABLES: longest })).toBe("started");
});
