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
