/** What keeps a job from running twice or from being lost, each left out in turn around agents that are as they are shipped. */
export const LEFT_OUT = [
  /** Nobody ends the daemons of an agent that stands still or is gone. */
  "lease guard",
  /** The guard works only while the agent does. */
  "guard without its agent",
  /** An agent takes up none of the daemons that its earlier life has left. */
  "adoption",
  /** Machines know only a clock that stands still with them. */
  "wall clock",
  /** The control plane waits no longer than the worker. */
  "margin",
  /** Heartbeats do not say which daemons the lease has ended. */
  "release report",
  /** Nobody ends what is not the worker's any more. */
  "orders to kill",
  /** A restarted control plane judges leases that it had no chance to renew. */
  "restart grace",
  /** A report counts whoever holds the job. */
  "fence of reports",
] as const;

export type LeftOut = (typeof LEFT_OUT)[number];
