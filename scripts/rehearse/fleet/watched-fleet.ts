import type { Fleet } from "./fleet";
import type { JobsWatch } from "./jobs-watch";

/** A fleet whose jobs are looked at all the while. */
export interface WatchedFleet extends Fleet {
  readonly jobs: JobsWatch;
}
