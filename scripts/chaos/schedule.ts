import { type Choices, seededChoices } from "./random";

export const SERVERS = ["store", "source", "sink"] as const;
export type ServerName = (typeof SERVERS)[number];

/** How many there are of each thing that can be hurt. */
export interface FleetSize {
  readonly workers: number;
  readonly controlPlanes: number;
  readonly jobs: number;
}

/** Two parties that talk; a cut parts them. Numbers count from 0. */
export type Link =
  | { readonly from: "worker"; readonly worker: number; readonly to: "control-plane"; readonly copy: number }
  | { readonly from: "worker"; readonly worker: number; readonly to: "source" | "sink" }
  | { readonly from: "control-plane"; readonly copy: number; readonly to: "store" };

/** One thing that is done to the fleet. Numbers count from 0. */
export type Fault =
  | { readonly kind: "kill-agent" | "hand-over-agent" | "roll-agent" | "drain-worker"; readonly worker: number }
  | { readonly kind: "kill-daemon" | "freeze-daemon"; readonly job: number }
  | { readonly kind: "kill-control-plane" | "roll-control-plane"; readonly copy: number }
  | { readonly kind: "close-connections" | "crash-backend"; readonly server: ServerName }
  /** `agent`: it alone stands still, its daemons and their leashes go on. `machine`: everything of the worker does. */
  | { readonly kind: "freeze-agent" | "freeze-machine"; readonly worker: number }
  /** The worker and every copy of the control plane. */
  | { readonly kind: "isolate-worker"; readonly worker: number }
  | { readonly kind: "cut"; readonly link: Link }
  /** All agents are given another version of themselves at the same time. */
  | { readonly kind: "upgrade-agents" };

export type FaultKind = Fault["kind"];

export interface Step {
  /** Since the step before began. */
  readonly afterMs: number;
  readonly fault: Fault;
  /** How long a fault that lasts is to last at least; freezes and isolation go on until the lease is over. */
  readonly holdMs: number;
}

/** Every kind comes up about this often, of all of them. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  "kill-agent": 3,
  "hand-over-agent": 1,
  "roll-agent": 2,
  "drain-worker": 2,
  "kill-daemon": 4,
  "freeze-daemon": 1,
  "kill-control-plane": 3,
  "roll-control-plane": 1,
  "close-connections": 3,
  "crash-backend": 2,
  "freeze-agent": 2,
  "freeze-machine": 2,
  "isolate-worker": 2,
  cut: 5,
  "upgrade-agents": 2,
};

export const FAULT_KINDS = Object.keys(WEIGHTS) as FaultKind[];

/** At least and at most between two steps, and how long a cut lasts. */
const GAP_MS = [500, 4_000] as const;
const HOLD_MS = [3_000, 20_000] as const;

/** Endless; the same seed and size give the same steps. The first ones show each kind once. */
export function* schedule(seed: number, size: FleetSize): Generator<Step, never> {
  const choices = seededChoices(seed);
  const first = shuffled(FAULT_KINDS, choices);
  const bag = FAULT_KINDS.flatMap((kind) => Array<FaultKind>(WEIGHTS[kind]).fill(kind));
  for (;;) {
    const kind = first.pop() ?? choices.oneOf(bag);
    const afterMs = choices.between(...GAP_MS);
    yield { afterMs, fault: aimed(kind, size, choices), holdMs: choices.between(...HOLD_MS) };
  }
}

function aimed(kind: FaultKind, size: FleetSize, choices: Choices): Fault {
  const below = (count: number) => choices.between(0, count - 1);
  switch (kind) {
    case "kill-daemon":
    case "freeze-daemon":
      return { kind, job: below(size.jobs) };
    case "kill-control-plane":
    case "roll-control-plane":
      return { kind, copy: below(size.controlPlanes) };
    case "close-connections":
    case "crash-backend":
      return { kind, server: choices.oneOf(SERVERS) };
    case "cut":
      return { kind, link: choices.oneOf(links(size)) };
    case "upgrade-agents":
      return { kind };
    default:
      return { kind, worker: below(size.workers) };
  }
}

/** Every two that talk to each other. Workers do not talk to workers, nor copies of the control plane to copies. */
export function links({ workers, controlPlanes }: FleetSize): readonly Link[] {
  const copies = Array.from({ length: controlPlanes }, (_, copy) => copy);
  return [
    ...Array.from({ length: workers }, (_, worker): Link[] => [
      ...copies.map((copy): Link => ({ from: "worker", worker, to: "control-plane", copy })),
      { from: "worker", worker, to: "source" },
      { from: "worker", worker, to: "sink" },
    ]).flat(),
    ...copies.map((copy): Link => ({ from: "control-plane", copy, to: "store" })),
  ];
}

function shuffled<T>(items: readonly T[], choices: Choices): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(choices.between(0, rest.length - 1), 1));
}

/** A fault in words, for the terminal and the report. */
export function describe(fault: Fault): string {
  const words = fault.kind.replaceAll("-", " ");
  if ("worker" in fault) return `${words} ${workerName(fault.worker)}`;
  if ("job" in fault) return `${words} of ${jobName(fault.job)}`;
  if ("copy" in fault) return `${words} ${copyName(fault.copy)}`;
  if ("server" in fault) return `${words} of ${fault.server}`;
  return "link" in fault ? `${words} ${linkName(fault.link)}` : words;
}

export function linkName(link: Link): string {
  const from = link.from === "worker" ? workerName(link.worker) : copyName(link.copy);
  return `${from} | ${link.to === "control-plane" ? copyName(link.copy) : link.to}`;
}

export const workerName = (worker: number): string => `worker-${worker + 1}`;
export const jobName = (job: number): string => `job-${String(job + 1).padStart(2, "0")}`;
export const tableName = (job: number): string => `item_${String(job + 1).padStart(2, "0")}`;
export const copyName = (copy: number): string => `control-plane-${copy + 1}`;
