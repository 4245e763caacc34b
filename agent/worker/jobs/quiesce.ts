import { sleep } from "../../host/waiting";
import type { CdcStatus, DaemonApi } from "../daemon/daemon-api";
import type { DaemonProcess } from "../daemon/daemon-host";

/** How long each step of an end may take, in milliseconds. */
const STEP = {
  /** What is at hand reaches the sink: a flush interval and the sink's own time. */
  sinkMs: 10_000,
  exitMs: 10_000,
  termMs: 5_000,
  againMs: 1_000,
  lookMs: 100,
} as const;

export interface QuiesceProps {
  readonly daemon: DaemonProcess;
  readonly api: DaemonApi;
  /** Whether the source keeps what the job needs to go on elsewhere; false only for a job that is deleted. Asked just before the stop. */
  readonly keepSlot: () => boolean;
  /** Time that is left for all of it. */
  readonly remainingMs: () => number;
  /** Told of every status that is read on the way. */
  readonly seen: (status: CdcStatus) => void;
}

/** How a daemon ended: by a stop that it took, with or without its slot; before it took one; or by signals. */
export type Quiesced = "slot kept" | "slot dropped" | "unasked" | "signalled";

/**
 * Ends a daemon so that the job can go on where it stopped: pause, wait until what is at hand is in the sink, stop, and only
 * if that does not end it, signals. It stays paused for no longer than it must, since a paused daemon stops answering
 * its source's keepalives.
 */
export async function quiesce(props: QuiesceProps): Promise<Quiesced> {
  const { daemon, api, keepSlot, remainingMs, seen } = props;
  const gone = daemon.ended.then((): true => true);
  if (await api.pause().catch(() => false)) await settled(api, daemon.record.flushIntervalMs, remainingMs, seen);
  const kept = keepSlot();
  const taken = await api.stop(kept).catch(() => false);
  if (await within(Math.min(STEP.exitMs, remainingMs() - STEP.termMs), gone)) {
    if (!taken) return "unasked";
    return kept ? "slot kept" : "slot dropped";
  }
  await endNow(daemon, Math.min(STEP.termMs, remainingMs()));
  return "signalled";
}

/**
 * SIGTERM, and SIGKILL when the daemon is still there after `graceMs`, repeated while it is: what signals may be away for a moment.
 * Resolves once it is gone.
 */
export async function endNow(daemon: DaemonProcess, graceMs: number): Promise<void> {
  const gone = daemon.ended.then((): true => true);
  if (graceMs > 0) {
    await daemon.signal("SIGTERM").catch(() => {});
    if (await within(graceMs, gone)) return;
  }
  do await daemon.signal("SIGKILL").catch(() => {});
  while (!(await within(STEP.againMs, gone)));
}

/** Until nothing is pending, or the confirmed position has stood still for longer than a flush takes. */
async function settled(
  api: DaemonApi,
  flushIntervalMs: number,
  remainingMs: () => number,
  seen: (status: CdcStatus) => void,
): Promise<void> {
  let confirmed: bigint | undefined;
  let movedAt = performance.now();
  const until = movedAt + flushIntervalMs + STEP.sinkMs;
  // Asked each time: there may be less of it than there was.
  while (performance.now() < until && remainingMs() > STEP.exitMs + STEP.termMs) {
    const status = await api.status().catch(() => undefined);
    if (!status) return;
    seen(status);
    if (status.pending_events === 0) return;
    if (status.confirmed_lsn !== confirmed) {
      confirmed = status.confirmed_lsn;
      movedAt = performance.now();
    }
    if (performance.now() - movedAt > flushIntervalMs + STEP.lookMs * 5) return;
    await sleep(STEP.lookMs);
  }
}

async function within(delayMs: number, gone: Promise<true>): Promise<boolean> {
  const late = new AbortController();
  try {
    return await Promise.race([gone, sleep(Math.max(0, delayMs), late.signal).then(() => false)]);
  } finally {
    late.abort();
  }
}
