import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readText, unlessMissing, writeFileAtomic } from "../../host/files";
import type { ProcessIdentity } from "../daemon/process-identity";
import type { HandedLease } from "../lease-keeper";
import type { WantedUpgrade } from "./release-signature";

/** A new version on trial. Written down: the agent that reports on it is not the one that installed it. */
export interface Trial extends Pick<WantedUpgrade, "campaignId" | "program" | "version"> {
  /** What new processes are started through, and what it pointed to before and points to since. */
  readonly link: string;
  readonly from: string;
  readonly to: string;
  readonly gateMs: number;
  /** Whether the service manager was about to start it, where that says so: one that is started again has ended. */
  readonly begun?: true;
  readonly state: "trying" | "healthy" | "rolled_back";
  readonly detail: string;
}

/** How the agent that is on trial fares, in its own words. */
export interface TrialSign extends ProcessIdentity {
  /** What the last heartbeat of this life that was answered has given it. */
  readonly lease?: HandedLease;
  /** Jobs that failed on daemons which this life has started, or could not start. */
  readonly failures: number;
}

/** The process that ends the trial. */
export type TrialWatcher = ProcessIdentity;

/** The trial's files, of which each has one writer at a time. */
export function trialFiles(directory: string) {
  const path = (name: string) => join(directory, `upgrade${name}.json`);
  return {
    trial: record<Trial>(path("")),
    sign: record<TrialSign>(path("-sign")),
    watcher: record<TrialWatcher>(path("-watcher")),
    log: join(directory, "upgrade.log"),
  };
}

export type TrialFiles = ReturnType<typeof trialFiles>;

interface Written<T> {
  /**
   * Undefined where there is none.
   *
   * @throws Error when there is one that cannot be read, or is torn: what it says is not known.
   */
  read(): T | undefined;
  /** As `read`, but `last` where it would throw. */
  readOr(last: T | undefined): T | undefined;
  write(value: T): Promise<void>;
  remove(): Promise<void>;
}

function record<T>(path: string): Written<T> {
  const read = (): T | undefined => {
    const text = unlessMissing(path, readText, "make it readable");
    try {
      return text === undefined ? undefined : JSON.parse(text);
    } catch (error) {
      throw new Error(`${path} is torn: remove it`, { cause: error });
    }
  };
  return {
    read,
    readOr: (last) => {
      try {
        return read();
      } catch {
        return last;
      }
    },
    write: (value) => writeFileAtomic(path, JSON.stringify(value), 0o600),
    remove: () => rm(path, { force: true }),
  };
}
