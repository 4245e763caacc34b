import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Instant, remainingMs, type SteadyClock, ticked } from "../../control-plane/protocol/worker-lease";
import { writeFileAtomic } from "../host/files";
import type { Log } from "../host/log";
import { type RecordedDaemon, recordedDaemons, signalGroup } from "./daemon/process-host";
import { startOf } from "./daemon/process-identity";
import type { WrittenLease } from "./lease-keeper";

/** What the agent and its guard share. */
export function guardFiles(directory: string) {
  return { lease: join(directory, "lease.json"), guard: join(directory, "guard.json"), jobs: join(directory, "jobs") };
}

/** How long until the guard notices the end of a lease, and how long a daemon has to end by itself then. */
const LOOK_MS = 250;
const GRACE_MS = 1_000;

/** The lease by the guard's own clock: it only ever shortens what the file says. */
export class GuardedLease {
  private clock: SteadyClock;
  private written: WrittenLease | undefined;
  private heldAt = 0;
  private leftMs = 0;

  constructor(private readonly now: () => Instant) {
    this.clock = { elapsedMs: 0, lastTick: now() };
  }

  /** Whether daemons may run, by the lease as it is written now; undefined where none is. */
  valid(written: WrittenLease | undefined): boolean {
    const now = this.now();
    this.clock = ticked(this.clock, now);
    if (!written) return false;
    if (written.sentAt.monotonicMs !== this.written?.sentAt.monotonicMs || written.leaseMs !== this.written.leaseMs) {
      const { monotonicMs, wallMs } = written.sentAt;
      const agedMs = Math.max(0, now.monotonicMs - monotonicMs, now.wallMs - wallMs);
      this.written = written;
      this.heldAt = this.clock.elapsedMs;
      this.leftMs = written.leaseMs - agedMs;
    }
    return remainingMs({ sentAtMs: this.heldAt, leaseMs: this.leftMs }, this.clock) > 0;
  }
}

/**
 * Ends the daemons that may not outlive the lease once it is over, whatever has become of the agent: a process of its own
 * that talks to nobody. It ends when the lease is over and no daemon is left; the agent starts another one before it
 * starts a daemon.
 */
export async function runGuard(directory: string, now: () => Instant, log: Log): Promise<void> {
  const files = guardFiles(directory);
  if (await isGuarded(directory)) return;
  const self = { pid: process.pid, start: startOf(process.pid) };
  await writeFileAtomic(files.guard, JSON.stringify(self), 0o600);
  const lease = new GuardedLease(now);
  const doomed = new Map<string, number>();
  for (;;) {
    if (lease.valid(await readLease(files.lease))) doomed.clear();
    else {
      const alive = (await recordedDaemons(files.jobs)).filter(({ pid, start }) => startOf(pid) === start);
      if (alive.length === 0) break;
      fence(alive, doomed, log);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  await rm(files.guard, { force: true });
}

/** Whether a living process guards the directory. */
export async function isGuarded(directory: string): Promise<boolean> {
  try {
    const { pid, start } = JSON.parse(await readFile(guardFiles(directory).guard, "utf8"));
    return start !== undefined && startOf(pid) === start;
  } catch {
    return false;
  }
}

function fence(alive: readonly RecordedDaemon[], doomed: Map<string, number>, log: Log): void {
  for (const daemon of alive) {
    const { record, pid, start } = daemon;
    if (record.onDisconnect === "keep") continue;
    const key = `${pid} ${start}`;
    const since = doomed.get(key);
    if (since === undefined) {
      doomed.set(key, performance.now());
      log.warn("lease over: ending a daemon", { jobId: record.jobId, fence: record.fence, pid });
      signalGroup(daemon, "SIGTERM");
    } else if (performance.now() - since > GRACE_MS) signalGroup(daemon, "SIGKILL");
  }
}

async function readLease(path: string): Promise<WrittenLease | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}
