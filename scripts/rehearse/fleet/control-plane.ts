import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { end } from "../../emulator/child";
import { type ControlPlaneApi, controlPlaneApi } from "../../operator/control-plane";
import { REPOSITORY } from "../deployment/bundled";

const START_DEADLINE_MS = 300_000;
/** It answers what is under way, workers' long polls among it. */
const STOP_MS = 60_000;

/** A control plane as its operator has it, on the loopback interface. */
export interface OperatedControlPlane {
  readonly api: ControlPlaneApi;
  stop(): Promise<void>;
}

export interface ControlPlaneProps {
  /** Where its first operator's token is to lie. */
  readonly directory: string;
  readonly databaseUrl: string;
  /** Told of its process. */
  readonly adopt: (pid: number) => Promise<void>;
}

/** Starts the control plane's own program. @throws Error with what it printed, where it ends or does not listen */
export async function startControlPlane(props: ControlPlaneProps): Promise<OperatedControlPlane> {
  const { directory, databaseUrl, adopt } = props;
  const tokenFile = join(directory, "operator-token");
  const child = spawn(process.execPath, ["--import", "tsx", join(REPOSITORY, "control-plane/main.ts")], {
    cwd: REPOSITORY,
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: databaseUrl,
      HOLDFAST_KEYRING: `rehearsal:${randomBytes(32).toString("hex")}`,
      HOLDFAST_PORT: "0",
      HOLDFAST_OPERATOR_TOKEN_FILE: tokenFile,
    },
    // The terminal's Ctrl-C is for the rehearsal, which ends its parts in order.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  let url: string | undefined;
  let failure: Error | undefined;
  const read = (chunk: Buffer) => {
    printed = `${printed}${chunk}`.slice(-4_000);
    url ??= LISTENING.exec(printed)?.[1];
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  child.on("error", (error) => {
    failure = error;
  });
  const stop = () => end(child, STOP_MS);

  if (child.pid !== undefined) await adopt(child.pid);
  const deadline = performance.now() + START_DEADLINE_MS;
  while (url === undefined) {
    if (failure !== undefined || child.exitCode !== null || performance.now() > deadline) {
      if (child.pid !== undefined) await stop();
      throw new Error(`the control plane did not start: ${failure?.message ?? printed.trim()}`);
    }
    await sleep(100);
  }
  return { api: controlPlaneApi(url, readFileSync(tokenFile, "utf8").trim()), stop };
}

/** Of the log's line that says where it listens. */
const LISTENING = /"url":"(http:[^"]+)","msg":"listening"/;
