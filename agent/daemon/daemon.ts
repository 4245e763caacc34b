import { type Log, reason } from "../host/log";
import { type Backoff, fullJitterMs, retry, sleep } from "../host/waiting";
import type { DaemonConfiguration } from "./configuration";
import { EXIT, exitStatus, FencedError, isTransient } from "./failure";
import type { Lifecycle } from "./lifecycle";
import { removeSlot, runSession } from "./session";

const RECONNECT: Backoff = { baseMs: 250, capMs: 5_000 };

/** Then the supervisor shall decide, with its own backoff and a fresh process. */
const GIVE_UP_AFTER_MS = 60_000;

/** A slot that is to be dropped becomes free this soon after its reader has gone. */
const DROP_DEADLINE_MS = 10_000;

/**
 * Runs the job until it is told to end, and gives the exit status. A connection that breaks is made again, for a minute in which no
 * session gets on or holds for a while; all other failures end the process at once, with the reason in the log and in `errorDetail`.
 */
export async function runDaemon(configuration: DaemonConfiguration, lifecycle: Lifecycle, log: Log): Promise<number> {
  let attempt = 0;
  let workedAt = performance.now();
  let reached = "";
  while (!lifecycle.stopSignal.aborted) {
    const openedAt = performance.now();
    try {
      if ((await runSession(configuration, lifecycle, log)) === "done") break;
    } catch (error) {
      if (lifecycle.stopSignal.aborted) break;
      const opened = lifecycle.stage === "cdc" || lifecycle.stage === "snapshot";
      const gotOn = reachedBy(lifecycle) !== reached;
      const held = performance.now() - openedAt >= RECONNECT.capMs;
      reached = reachedBy(lifecycle);
      lifecycle.errorDetail = reason(error);
      if (!isTransient(error)) {
        log.error("cannot go on", { reason: lifecycle.errorDetail });
        return exitStatus(error);
      }
      if (opened && (gotOn || held)) {
        attempt = 0;
        workedAt = performance.now();
      }
      if (performance.now() - workedAt > GIVE_UP_AFTER_MS) {
        log.error("gave up", { reason: lifecycle.errorDetail, afterMs: GIVE_UP_AFTER_MS });
        return EXIT.again;
      }
      attempt += 1;
      log.warn("connecting again", { reason: lifecycle.errorDetail, attempt });
      await sleep(fullJitterMs(attempt, RECONNECT), lifecycle.stopSignal);
    }
  }
  if (!lifecycle.dropSlot) return statusWhenAsked(configuration, lifecycle);
  const deadline = performance.now() + DROP_DEADLINE_MS;
  const slot = configuration.source.slotName;
  try {
    await retry(() => removeSlot(configuration), {
      backoff: { baseMs: 50, capMs: 500 },
      retryable: (error) => !(error instanceof FencedError) && performance.now() < deadline,
    });
  } catch (error) {
    log.error("the slot was not dropped", { slot, reason: reason(error) });
    return exitStatus(error);
  }
  log.info("slot dropped", { slot });
  return EXIT.asked;
}

/** The exit status of a daemon that was told to end and keeps its slot: whoever wants a copy and no more must not take a part for the whole. */
export function statusWhenAsked({ snapshot }: DaemonConfiguration, { copied }: Lifecycle): number {
  return snapshot.only && !copied ? EXIT.again : EXIT.asked;
}

/** What the job has in the sink. */
function reachedBy({ confirmedLsn, tableProgress }: Lifecycle): string {
  return [confirmedLsn, ...[...tableProgress.values()].map(({ chunksDone }) => chunksDone)].join(" ");
}
