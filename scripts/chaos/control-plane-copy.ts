import { join, resolve } from "node:path";
import { Program } from "./program";
import type { Destination, SeverableProxy } from "./severable-proxy";

/**
 * A lease that is over soon, and a wide margin between what workers and control plane take for its end: the margin is for a machine that runs
 * all of the fleet and is slow to schedule a leash.
 */
const TIMING = { HOLDFAST_HEARTBEAT_MS: "1500", HOLDFAST_WORKER_LEASE_MS: "6000", HOLDFAST_SERVER_LEASE_MS: "20000" };

export interface ControlPlaneCopyProps {
  readonly name: string;
  readonly directory: string;
  readonly keyring: string;
  readonly operatorTokenFile: string;
  readonly storeUrl: string;
  /** Its own road to the store. */
  readonly toStore: SeverableProxy;
}

/** A copy of the control plane, where it listens, and its own road to the store. */
export interface ControlPlaneCopy {
  readonly program: Program;
  readonly destination: Destination;
  readonly toStore: SeverableProxy;
}

export function startCopy(props: ControlPlaneCopyProps): ControlPlaneCopy {
  const { name, directory, keyring, operatorTokenFile, storeUrl, toStore } = props;
  const destination: Destination = { name, port: undefined };
  const url = new URL(storeUrl);
  url.port = String(toStore.port);
  const program = new Program({
    args: ["--import", "tsx", resolve("control-plane/main.ts")],
    cwd: resolve("."),
    environment: {
      DATABASE_URL: url.href,
      HOLDFAST_KEYRING: keyring,
      HOLDFAST_PORT: "0",
      HOLDFAST_OPERATOR_TOKEN_FILE: operatorTokenFile,
      ...TIMING,
    },
    logFile: join(directory, `${name}.log`),
    onLine: (line) => {
      const port = /"url":"http:\/\/[^:"]+:(\d+)","msg":"listening"/.exec(line)?.[1];
      if (port !== undefined) destination.port = Number(port);
    },
    onExit: () => {
      destination.port = undefined;
    },
  });
  return { program, destination, toStore };
}
