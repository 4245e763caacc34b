import { join, resolve } from "node:path";
import type { ProgramProps } from "./program";

const REPOSITORY = resolve(__dirname, "../..");

/**
 * Of Node.js. What each claim holds that waits is moved once by its young generation: one of 16 MiB, as it is otherwise, makes the copy stand
 * still for that and stays resident. Four threads that collect garbage, as they are otherwise, take both of two processors from PostgreSQL
 * and from the copy itself. What is allocated as old because many like it were alive for a while, as requests are that wait for their group's
 * commit, holds on to the request and its answer until all of the heap is marked, and has that done every few seconds. tsx as a module loader,
 * which nothing here needs, would be a second thread with 40 MiB.
 */
export const NODE_FOR_MANY_CLAIMS = [
  "--max-semi-space-size=4",
  "--v8-pool-size=1",
  "--no-allocation-site-pretenuring",
  "--require",
  "tsx/cjs",
];

export interface ControlPlaneProgramProps {
  readonly databaseUrl: string;
  readonly keyring: string;
  /** On the loopback interface. @default - a free one at each start */
  readonly port?: number;
  /** Where the first operator's token is to lie. @default - there is none */
  readonly operatorTokenFile?: string;
  /** @default - the control plane's own */
  readonly timing?: ControlPlaneTiming;
}

/** As the control plane has it, in ms. */
export interface ControlPlaneTiming {
  readonly heartbeatMs: number;
  readonly workerLeaseMs: number;
  readonly serverLeaseMs: number;
}

/** A copy of the control plane as a process of its own, from this repository's sources. */
export function controlPlaneProgram(
  props: ControlPlaneProgramProps,
): Pick<ProgramProps, "args" | "cwd" | "environment"> {
  const { databaseUrl, keyring, port = 0, operatorTokenFile, timing } = props;
  return {
    args: [...NODE_FOR_MANY_CLAIMS, join(REPOSITORY, "control-plane/main.ts")],
    cwd: REPOSITORY,
    environment: {
      DATABASE_URL: databaseUrl,
      HOLDFAST_KEYRING: keyring,
      HOLDFAST_PORT: `${port}`,
      ...(operatorTokenFile !== undefined && { HOLDFAST_OPERATOR_TOKEN_FILE: operatorTokenFile }),
      ...(timing && {
        HOLDFAST_HEARTBEAT_MS: `${timing.heartbeatMs}`,
        HOLDFAST_WORKER_LEASE_MS: `${timing.workerLeaseMs}`,
        HOLDFAST_SERVER_LEASE_MS: `${timing.serverLeaseMs}`,
      }),
    },
  };
}
