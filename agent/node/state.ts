import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../host/files";

/** In this order; every step looks at what is there and does what is missing. */
export const STEPS = ["identity", "attach", "filesystem", "files", "configure", "health", "complete"] as const;
export type Step = (typeof STEPS)[number];

export interface Failure {
  readonly step: Step;
  /** Stable, for alarms and searches. */
  readonly code: string;
  readonly message: string;
  /** What the operator does next. */
  readonly remedy: string;
}

/** What is remembered of this instance's boot, across restarts of the agent and of the instance. */
export interface BootState {
  readonly instanceId: string;
  readonly cluster: string;
  readonly nodeId: string;
  readonly outcome: "running" | "failed" | "ready";
  /** The step that runs, or ran last. */
  readonly step: Step;
  /** RFC 3339, when this was written. */
  readonly since: string;
  /** Null unless the outcome is `failed`. */
  readonly failure: Failure | null;
  /** configure_cluster_node has returned 0: it is called once per instance. */
  readonly configured: boolean;
  /** The launch hook is over: later boots of this instance have nothing to complete. */
  readonly completed: boolean;
}

/** The state of this instance's boot, on disk before anything that depends on it is done. */
export interface Journal {
  readonly state: BootState;
  record(change: Partial<BootState>): Promise<void>;
}

/** Continues the journal at `path`, unless an image brought it along from the instance that it was made of. */
export async function openJournal(
  path: string,
  node: Pick<BootState, "instanceId" | "cluster" | "nodeId">,
): Promise<Journal> {
  const former = await readState(path);
  const own = former?.instanceId === node.instanceId ? former : undefined;
  let state: BootState = {
    instanceId: node.instanceId,
    cluster: node.cluster,
    nodeId: node.nodeId,
    outcome: "running",
    step: "identity",
    since: new Date().toISOString(),
    failure: null,
    configured: own?.configured ?? false,
    completed: own?.completed ?? false,
  };
  return {
    get state() {
      return state;
    },
    async record(change) {
      state = { ...state, ...change, since: new Date().toISOString() };
      await writeFileAtomic(path, `${JSON.stringify(state, undefined, 2)}\n`);
    },
  };
}

/** @returns undefined before the first boot. */
export async function readState(path: string): Promise<BootState | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
