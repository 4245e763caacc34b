/** Rules of the protocol, each left out in turn: the simulator must notice every one. */
export const MUTANTS = [
  "no watchdog",
  "orphaned daemons",
  "no restart grace",
  "monotonic-only clock",
  "no margin",
  "no release report",
  "response-time deadline",
  "unfenced complete",
  "forgotten requeue",
  "late report overturns",
] as const;

export type Mutant = (typeof MUTANTS)[number];

/** Rules of what operators order, of which only simulations with an operator know. */
export type OrderMutant = "work for the drained" | "gone while alive";
