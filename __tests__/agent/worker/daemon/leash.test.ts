import { promises, readdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { DaemonProcess } from "../../../../agent/worker/daemon/daemon-host";
import { processHost, recordedDaemons } from "../../../../agent/worker/daemon/process-host";
import { machineInstant } from "../../../../agent/worker/lease-keeper";
import { useScratch } from "../../../support/scratch";
import { recordOf } from "./daemon-record";

jest.setTimeout(60_000);

const scratch = useScratch();
const leaseOf = (leaseMs: number) => ({ sentAt: machineInstant(), leaseMs });
afterEach(() => jest.restoreAllMocks());

/** Has something done just before a daemon's output is opened, which is after its leash was made. */
function beforeOutput(act: () => void): void {
  const { open } = promises;
  jest.spyOn(promises, "open").mockImplementation((async (...given: Parameters<typeof open>) => {
    if (String(given[0]).endsWith("output.log")) act();
    return await open(...given);
  }) as typeof open);
}

type Host = ReturnType<typeof processHost>;

async function startWhile(renewing: (host: Host, renew: () => void) => Promise<DaemonProcess>): Promise<DaemonProcess> {
  const host = processHost({ command: ["sleep", "600"], directory: scratch.path });
  host.holdLease(leaseOf(3_000));
  const daemon = await renewing(host, () => host.holdLease(leaseOf(600_000)));
  // As long as the earlier lease, in the seconds that a leash counts, and one more.
  const told = await Promise.race([daemon.ended, pause(5_500, "runs")]);
  host.holdLease(leaseOf(1_000));
  expect([told, await daemon.ended]).toEqual(["runs", { status: null, signal: "SIGTERM" }]);
  await daemon.forget();
  return daemon;
}

const launch = () => ({ record: recordOf(), variables: {}, files: {} });

test("R24: a lease that is renewed while a daemon is being started, before it has a leash, reaches it", async () => {
  await startWhile(async (host, renew) => {
    const starting = host.start(launch());
    renew();
    return await starting;
  });
});

test("R24: a lease that is renewed while a daemon is being started, once it has a leash, reaches it", async () => {
  await startWhile(async (host, renew) => {
    beforeOutput(renew);
    return await host.start(launch());
  });
});

test("R24: no daemon is started under a lease that ends while its leash is made, and nothing is left behind", async () => {
  const host = processHost({ command: ["sleep", "600"], directory: scratch.path });
  host.holdLease(leaseOf(600_000));
  beforeOutput(() => host.holdLease(leaseOf(0)));

  await expect(host.start(launch())).rejects.toThrow("the lease is over");

  expect(recordedDaemons(scratch.path)).toEqual([]);
  expect(readdirSync(scratch.path)).toEqual([]);
});
