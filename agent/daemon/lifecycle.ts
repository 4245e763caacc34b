import { EventEmitter, once } from "node:events";
import type { Lsn } from "./lsn";

export type State = "running" | "paused" | "draining" | "stopped";
export type Command = "pause" | "resume" | "drain" | "stop";

/** From which states a command is taken, and where it leads. `stopped` is terminal. */
const TRANSITIONS: Readonly<Record<Command, { readonly from: readonly State[]; readonly to: State }>> = {
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused"], to: "running" },
  drain: { from: ["running", "paused"], to: "draining" },
  stop: { from: ["running", "paused", "draining"], to: "stopped" },
};

/** The state after `command`, or undefined if it is refused. */
export function transition(state: State, command: Command): State | undefined {
  const { from, to } = TRANSITIONS[command];
  return from.includes(state) ? to : undefined;
}

export interface TableProgress {
  chunksTotal: number;
  chunksDone: number;
  rowsSynced: number;
}

/** What the daemon is doing, as its API shows it, and what it was told to do. */
export class Lifecycle {
  state: State = "running";
  stage: "init" | "setup" | "snapshot" | "cdc" = "init";
  stageDetail = "Initializing";
  errorDetail = "";
  /** A stop that also removes the slot. */
  dropSlot = false;
  snapshotPaused = false;
  /** All that is to be copied is in the sink. */
  copied = false;
  /** All tables are to be copied again. */
  snapshotRequested = false;
  readonly tableProgress = new Map<string, TableProgress>();

  /** End of the last transaction that was read whole. */
  receivedLsn: Lsn = 0n;
  /** End of the last transaction that is in the sink. */
  confirmedLsn: Lsn = 0n;
  /** End of the source's log. */
  sourceLsn: Lsn = 0n;
  /** Changes that were read and are not in the sink. */
  pendingChanges = 0;
  committedChanges = 0;
  committedBatches = 0;
  /** When the source committed the first of the pending changes; Unix time. */
  pendingSinceMs = 0;

  private readonly changes = new EventEmitter();
  private readonly stopping = new AbortController();

  constructor() {
    this.changes.setMaxListeners(0);
  }

  /** Aborted by `stop`. */
  get stopSignal(): AbortSignal {
    return this.stopping.signal;
  }

  enter(stage: Lifecycle["stage"], detail: string): void {
    this.stage = stage;
    this.stageDetail = detail;
  }

  command(command: Command): boolean {
    const next = transition(this.state, command);
    if (next === undefined) return false;
    this.state = next;
    if (command === "pause") this.snapshotPaused = true;
    if (command === "resume" || command === "drain") this.snapshotPaused = false;
    if (next === "stopped") this.stopping.abort();
    this.changes.emit("change");
    return true;
  }

  pauseSnapshot(paused: boolean): void {
    this.snapshotPaused = paused;
    this.changes.emit("change");
  }

  requestSnapshot(): void {
    this.snapshotRequested = true;
    this.changes.emit("change");
  }

  /** Calls `listener` after every command until the returned function is called. */
  onCommand(listener: () => void): () => void {
    this.changes.on("change", listener);
    return () => void this.changes.off("change", listener);
  }

  /** Resolves when `holds` does; it is looked at after every command. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.changes, "change");
  }
}
