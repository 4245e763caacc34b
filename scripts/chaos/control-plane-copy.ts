import { join } from "node:path";
import { controlPlaneProgram } from "./control-plane-program";
import { Program } from "./program";
import { listeningUrl } from "./server-process";
import type { Destination, SeverableProxy } from "./severable-proxy";

/**
 * A lease that is over soon, and a wide margin between what workers and control plane take for its end: the margin is for a machine that runs
 * all of the fleet and is slow to schedule a leash.
 */
const TIMING = { heartbeatMs: 1_500, workerLeaseMs: 6_000, serverLeaseMs: 20_000 };

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
  const databaseUrl = new URL(storeUrl);
  databaseUrl.port = String(toStore.port);
  const program = new Program({
    ...controlPlaneProgram({ databaseUrl: databaseUrl.href, keyring, operatorTokenFile, timing: TIMING }),
    logFile: join(directory, `${name}.log`),
    onLine: (line) => {
      const url = listeningUrl(line);
      if (url !== undefined) destination.port = Number(new URL(url).port);
    },
    onExit: () => {
      destination.port = undefined;
    },
  });
  return { program, destination, toStore };
}
