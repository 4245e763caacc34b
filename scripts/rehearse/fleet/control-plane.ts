import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { controlPlaneProgram } from "../../chaos/control-plane-program";
import { startServerProcess } from "../../chaos/server-process";
import { type ControlPlaneApi, controlPlaneApi } from "../../operator/control-plane";

/** A control plane as its operator has it, on the loopback interface. */
export interface OperatedControlPlane {
  readonly api: ControlPlaneApi;
  stop(): Promise<void>;
}

export interface ControlPlaneProps {
  /** Where its first operator's token and its log are to lie. */
  readonly directory: string;
  readonly databaseUrl: string;
  /** Told of its process. */
  readonly adopt: (pid: number) => Promise<void>;
}

/** Starts the control plane's own program. @throws Error with its log, where it ends or does not listen */
export async function startControlPlane(props: ControlPlaneProps): Promise<OperatedControlPlane> {
  const { directory, databaseUrl, adopt } = props;
  const operatorTokenFile = join(directory, "operator-token");
  const keyring = `rehearsal:${randomBytes(32).toString("hex")}`;
  const { url, stop } = await startServerProcess({
    name: "the control plane",
    ...controlPlaneProgram({ databaseUrl, keyring, operatorTokenFile }),
    logFile: join(directory, "control-plane.log"),
    adopt,
  });
  return { api: controlPlaneApi(url, readFileSync(operatorTokenFile, "utf8").trim()), stop };
}
