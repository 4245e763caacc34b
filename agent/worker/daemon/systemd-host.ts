import { rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { reason } from "../../host/log";
import { type Backoff, retry } from "../../host/waiting";
import type { GuardClient } from "../guard-client";
import { type DaemonSecrets, UNKNOWN_REQUEST } from "../guard-protocol";
import { daemonFolders, makeDaemonFolder } from "./daemon-folders";
import type { DaemonEnd, DaemonHost, DaemonProcess, DaemonRecord } from "./daemon-host";
import { secretsOf } from "./daemon-secrets";
import { refOf, UNIT_PATTERN, type UnitLimits, unitName } from "./daemon-unit";
import { lastLinesOf } from "./journal";
import { watchOf } from "./process-identity";
import { residentBytes } from "./resident-memory";
import { type UnitState, unitStates } from "./unit-state";

export interface SystemdHostProps {
  /** Holds one folder per daemon. */
  readonly directory: string;
  /** Does what takes the rights of root. */
  readonly guard: GuardClient;
  readonly limits: UnitLimits;
}

/** How often a daemon is looked at. */
const LOOK_MS = 250;
/** How long systemd may take to hear of the end of a process and to tell it: one question that it leaves open, and another. */
const END_DEADLINE_MS = 30_000;
/** Between two attempts to end a daemon that may have been started. */
const BACKOFF: Backoff = { baseMs: 250, capMs: 5_000 };

const UNSEEN: DaemonEnd = { status: null, signal: null };

/** Daemons as transient units of systemd, each under a user of its own in the slice of the jobs. */
export function systemdHost({ directory, guard, limits }: SystemdHostProps): DaemonHost {
  const forget = async ({ record, folder }: { readonly record: DaemonRecord; readonly folder: string }) => {
    await guard.forget(record);
    await rm(folder, { recursive: true, force: true });
  };
  const taken = (record: DaemonRecord, secrets: readonly string[], folder: string, state: UnitState) =>
    daemonProcess({ record, secrets }, state, guard, () => forget({ record, folder }));
  return {
    async start(launch) {
      const { record, variables, files } = launch;
      const folder = await makeDaemonFolder(directory, record);
      const { jobId, fence, onDisconnect } = record;
      try {
        await guard.start({ jobId, fence, bound: onDisconnect === "stop", variables, files, limits });
        const [state] = await unitStates(unitName(record));
        if (!state || state.pid === 0) throw new Error(`systemd knows nothing of ${unitName(record)}`);
        return taken(record, secretsOf(launch), folder, state);
      } catch (error) {
        // Nothing is known of what was done: until it has ended for sure the job stays this worker's.
        await retry(() => guard.forget(record), { backoff: BACKOFF, retryable: () => true });
        await rm(folder, { recursive: true, force: true });
        throw error;
      }
    },
    async survivors() {
      // The guard may be at work on a start that the agent's earlier life asked for, and answers after it: then systemd knows of the
      // unit.
      const secrets = await guard.secrets().catch(noneIfUnknown);
      const [folders, states] = [daemonFolders(directory), await unitStates(UNIT_PATTERN)];
      const running = new Map(states.filter(({ running }) => running).map((state) => [state.unit, state]));
      const alive: DaemonProcess[] = [];
      const ended: Promise<void>[] = [];
      for (const { record, folder } of folders) {
        const state = running.get(unitName(record));
        if (state) alive.push(taken(record, secrets[unitName(record)] ?? [], folder, state));
        // What cannot be removed is tried again by the agent's next life.
        else ended.push(forget({ record, folder }).catch(() => {}));
        running.delete(unitName(record));
      }
      // Nobody would know what they are for.
      for (const unit of running.keys()) {
        const ref = refOf(unit);
        if (ref) ended.push(guard.forget(ref));
      }
      await Promise.all(ended);
      return alive;
    },
  };
}

/** The guard is of the boot's version, and may know less than this agent. Where it says nothing, a start may still be under way. */
function noneIfUnknown(error: unknown): DaemonSecrets {
  if (!reason(error).startsWith(UNKNOWN_REQUEST)) throw error;
  return {};
}

function daemonProcess(
  known: Pick<DaemonProcess, "record" | "secrets">,
  { unit, pid }: UnitState,
  guard: GuardClient,
  forget: () => Promise<void>,
): DaemonProcess {
  const { record } = known;
  const isAlive = watchOf(pid);
  const ended = (async () => {
    while (isAlive()) await pause(LOOK_MS, undefined, { ref: false });
    const end = await endOf(unit);
    // systemd lets be what a process with status 0 has left in its unit; it may hold the job's connections.
    if (end.status === 0) await guard.signal(record, "SIGKILL").catch(() => {});
    return end;
  })();
  return {
    ...known,
    ended,
    signal: async (name) => {
      if (isAlive()) await guard.signal(record, name).catch((error) => rethrowIf(isAlive(), error));
    },
    memoryBytes: () => residentBytes(pid),
    lastLines: (count) => lastLinesOf(unit, count),
    // What is left of a unit whose daemon has ended is no more than a name; the agent's next life tries again.
    forget: () => forget().catch(() => {}),
  };
}

/** systemd hears of the end a moment after /proc shows it, and may fail to tell it at first. */
async function endOf(unit: string): Promise<DaemonEnd> {
  const deadline = performance.now() + END_DEADLINE_MS;
  do {
    const states = await unitStates(unit).catch(() => undefined);
    if (states && !states[0]?.running) return states[0]?.end ?? UNSEEN;
    await pause(LOOK_MS, undefined, { ref: false });
  } while (performance.now() < deadline);
  return UNSEEN;
}

function rethrowIf(condition: boolean, error: unknown): void {
  if (condition) throw error;
}
