import * as z from "zod";
import { MAX_CLAIM_WAIT_MS, MAX_DURATION_MS } from "../protocol/limits";

const durationMs = z.int().min(1).max(MAX_DURATION_MS);

/** How long things may take for a lease to be safe. */
export const LeaseTiming = z
  .strictObject({
    /** How often a worker renews its lease. */
    heartbeatMs: durationMs.default(5_000),
    /** How long a worker may run daemons after it sent the heartbeat that was answered. */
    workerLeaseMs: durationMs.default(15_000),
    /** How long the control plane waits after it received a heartbeat before it gives the jobs to others. */
    serverLeaseMs: durationMs.default(30_000),
    /** How long it takes a worker to end its daemons, SIGKILL included. */
    killMs: durationMs.default(3_000),
    /** How late the lease guard may notice that the lease has run out. */
    watchdogMs: durationMs.default(5_000),
    /** How far a clock's rate may be off, as a fraction. */
    clockRateError: z.number().min(0).max(0.5).default(0.02),
    /** Within how long a job is back that was granted and not started, the sweep that takes it back included. */
    grantMs: durationMs.default(10_000),
    /** How often the control plane looks for leases that ran out. */
    sweepMs: durationMs.default(1_000),
    /** How long a claim is parked. */
    claimWaitMs: z.int().min(0).max(MAX_CLAIM_WAIT_MS).default(45_000),
  })
  .superRefine((timing, context) => {
    for (const fault of timingFaults(timing)) context.addIssue({ code: "custom", ...fault });
  });

export type LeaseTiming = z.infer<typeof LeaseTiming>;

export const DEFAULT_TIMING: LeaseTiming = LeaseTiming.parse({});

interface Fault {
  readonly path: (keyof LeaseTiming)[];
  readonly message: string;
}

/** The longest, in true time, that a daemon may live after its worker sent the last heartbeat that was answered. */
export function daemonsGoneAfterMs(timing: LeaseTiming): number {
  return timing.workerLeaseMs * (1 + timing.clockRateError) + timing.killMs + timing.watchdogMs;
}

/** The shortest, in true time, that the control plane waits before it gives a silent worker's jobs to others. */
export function jobsMovedAfterMs(timing: LeaseTiming): number {
  return timing.serverLeaseMs * (1 - timing.clockRateError);
}

/**
 * How long a worker has to say that it starts what it was granted: two sweeps less than `grantMs`, so that the job is back by then even where
 * one of them is late or fails. Half of it where sweeps are rarer than that.
 */
export function grantLastsMs({ grantMs, sweepMs }: Pick<LeaseTiming, "grantMs" | "sweepMs">): number {
  return grantMs - Math.min(2 * sweepMs, Math.floor(grantMs / 2));
}

function timingFaults(timing: LeaseTiming): Fault[] {
  const faults: Fault[] = [];
  const gone = daemonsGoneAfterMs(timing);
  const moved = jobsMovedAfterMs(timing);
  if (gone > moved) {
    faults.push({
      path: ["serverLeaseMs"],
      message:
        `jobs would move after ${moved} ms while their daemons may live ${gone} ms ` +
        `(workerLeaseMs x (1 + clockRateError) + killMs + watchdogMs): raise serverLeaseMs (${timing.serverLeaseMs}) ` +
        `to ${Math.ceil(gone / (1 - timing.clockRateError))} or lower workerLeaseMs (${timing.workerLeaseMs})`,
    });
  }
  if (timing.heartbeatMs * 2 > timing.workerLeaseMs) {
    faults.push({
      path: ["heartbeatMs"],
      message:
        `one lost heartbeat would stop every daemon: heartbeatMs (${timing.heartbeatMs}) ` +
        `should be <= half of workerLeaseMs (${timing.workerLeaseMs})`,
    });
  }
  return faults;
}
