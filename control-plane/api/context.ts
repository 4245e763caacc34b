import type { Pool } from "pg";
import type { Logger } from "pino";
import type { LeaseTiming } from "../lease/timing";
import type { Heartbeats } from "../store/heartbeats";
import type { JobWrites } from "../store/job-writes";
import type { Keyring } from "../store/seal";
import type { Telemetry } from "./telemetry";
import type { Waker } from "./waker";

/** What the handlers work with. */
export interface ApiContext {
  readonly pool: Pool;
  readonly keyring: Keyring;
  readonly timing: LeaseTiming;
  readonly heartbeats: Heartbeats;
  readonly jobWrites: JobWrites;
  readonly hasDeployment: (id: string) => Promise<boolean>;
  readonly waker: Waker;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
}
