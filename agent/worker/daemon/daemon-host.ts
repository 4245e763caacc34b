import type { JobRef } from "../../../control-plane/protocol";

/** What stays known of a daemon when the agent ends: everything but its credentials. */
export interface DaemonRecord extends JobRef {
  /** The job's name, for people. */
  readonly name: string;
  /** Whether it may run on when the lease is over. */
  readonly onDisconnect: "stop" | "keep";
  /** Unix time in milliseconds; absent where an earlier version of the agent has started it. */
  readonly startedAt?: number;
  /** Of its control API. */
  readonly port: number;
  readonly slotName: string;
  readonly tables: readonly string[];
  readonly flushIntervalMs: number;
  readonly snapshotOnly: boolean;
  /** Number of the newest checkpoint that was made before it was started; -1 before the first. */
  readonly seq: number;
  /** The position after which changes may be missing, since it was started anew; told by whoever follows it. */
  readonly gapAfter?: string;
}

export interface DaemonLaunch {
  readonly record: DaemonRecord;
  /** The whole environment of the process. */
  readonly variables: Readonly<Record<string, string>>;
  /** Contents of files that only the daemon may read, by the variable that is to hold the path. */
  readonly files: Readonly<Record<string, string>>;
}

/** How a process ended; both are null when nobody saw it. */
export interface DaemonEnd {
  readonly status: number | null;
  readonly signal: string | null;
}

/** A daemon that runs, or ran. */
export interface DaemonProcess {
  readonly record: DaemonRecord;
  /** Values that no log may show, as far as they are known. */
  readonly secrets: readonly string[];
  readonly ended: Promise<DaemonEnd>;
  /** Sends a signal to the daemon and all that it started; nothing when it has ended. */
  signal(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Resident memory, in bytes; undefined where the system does not say. */
  memoryBytes(): Promise<number | undefined>;
  /** The last lines of its output, oldest first. */
  lastLines(count: number): Promise<readonly string[]>;
  /** Removes what is kept of it, once it has ended. */
  forget(): Promise<void>;
}

/** Where daemons run. They outlive the agent that started them. */
export interface DaemonHost {
  /**
   * Starts a daemon. What is kept of it is written before, so that no later life of the agent can miss it.
   *
   * @throws Error when nothing was started.
   */
  start(launch: DaemonLaunch): Promise<DaemonProcess>;
  /** Daemons that an earlier life of the agent left alive; what is left of others is removed. */
  survivors(): Promise<readonly DaemonProcess[]>;
}
