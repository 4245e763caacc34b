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
  /** Nobody tells a worker that the operator wants a job of its at rest. */
  "orders to stop",
  /** A job that its worker lets go is anybody's, whatever the operator wants of it. */
  "wish at the end",
  /** Nobody tells a worker that it is to hand over what it runs. */
  "orders to drain",
  /** Who is to hand over what it runs is given more. */
  "no work for the drained",
  /** The checkpoint that comes with a worker's last word of a job is not kept. */
  "last checkpoint",
  /** Who calls a worker gone is believed while its lease is valid. */
  "lease of the gone",
] as const;

/** `keep`: a job that is kept ends too, once the control plane was away for five of its leases. Schedules are shorter than that. */
export type LeftOut = (typeof LEFT_OUT)[number] | "keep";
