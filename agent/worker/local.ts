import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Log } from "../host/log";
import { type AgentSignals, runAgent } from "./agent";
import { controlPlaneClient } from "./control-plane-client";
import { daemonApi } from "./daemon/daemon-api";
import { PortPool } from "./daemon/free-port";
import { processHost } from "./daemon/process-host";
import { daemonQuirks } from "./daemon/quirks";
import type { LocalConfig } from "./local-config";
import release from "./release.json";

/** Runs the agent with daemons as plain processes. */
export async function runLocalAgent(config: LocalConfig, log: Log, signals: AgentSignals): Promise<void> {
  const directory = join(resolve(config.stateDirectory), "jobs");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const host = processHost({ command: config.daemon.command, directory });
  const token = async () => {
    const value = (await readFile(config.deploymentTokenFile, "utf8")).trim();
    log.redact(value);
    return value;
  };
  await runAgent(
    {
      worker: {
        workerId: config.workerId,
        agentVersion: release.version,
        daemonVersion: config.daemon.version,
        pool: config.pool,
        labels: config.labels,
        slots: config.slots,
      },
      drain: config.drain,
    },
    {
      controlPlane: controlPlaneClient(config.controlPlaneUrl),
      deploymentToken: token,
      log,
      host,
      ports: new PortPool(),
      quirks: daemonQuirks(config.daemon),
      api: daemonApi,
      holdLease: (lease) => host.holdLease(lease),
      notify: async () => {},
      watchdogPeriodMs: undefined,
      cloud: undefined,
    },
    signals,
  );
}
