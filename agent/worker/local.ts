import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { awsClient } from "../host/aws";
import { roleCredentials } from "../host/credentials";
import { imdsClient } from "../host/imds";
import type { Log } from "../host/log";
import { type AgentEnd, type AgentSignals, runAgent, type WayOut } from "./agent";
import { controlPlaneClient } from "./control-plane-client";
import { daemonApi } from "./daemon/daemon-api";
import { PortPool } from "./daemon/free-port";
import { processHost } from "./daemon/process-host";
import { daemonQuirks } from "./daemon/quirks";
import { heartbeatsInThread } from "./heartbeat-thread";
import type { LocalConfig } from "./local-config";
import { HeldMessages } from "./queue/held-messages";
import { LastPositions } from "./queue/last-positions";
import { queueControlPlane } from "./queue/queue-control-plane";
import release from "./release.json";
import { steadyCredentials } from "./steady-credentials";
import { localUpgrades } from "./upgrade/local-upgrades";

/** Runs the agent with daemons as plain processes. */
export async function runLocalAgent(config: LocalConfig, log: Log, signals: AgentSignals): Promise<AgentEnd> {
  const directory = resolve(config.stateDirectory);
  const jobs = join(directory, "jobs");
  await mkdir(jobs, { recursive: true, mode: 0o700 });
  const host = processHost({ command: config.daemon.command, directory: jobs });
  const token = async () => {
    if (config.deploymentTokenFile === undefined) return "";
    const value = (await readFile(config.deploymentTokenFile, "utf8")).trim();
    log.redact(value);
    return value;
  };
  const upgrades = await localUpgrades(config, directory, process.argv[1] ?? "");
  const daemonVersion = upgrades?.daemonVersion ?? config.daemon.version;
  return await runAgent(
    {
      worker: {
        workerId: config.workerId,
        agentVersion: release.version,
        daemonVersion,
        pool: config.pool,
        labels: config.labels,
        slots: config.slots,
      },
      drain: config.drain,
      maxJobAgeMs: (config.maxJobAgeSeconds ?? Number.POSITIVE_INFINITY) * 1_000,
    },
    {
      ...controlPlaneOf(config, directory, log),
      deploymentToken: token,
      log,
      host,
      ports: new PortPool(),
      quirks: daemonQuirks({ ...config.daemon, version: daemonVersion }),
      api: daemonApi,
      holdLease: (lease) => host.holdLease(lease),
      notify: async () => {},
      watchdogPeriodMs: undefined,
      upgrades: upgrades?.of,
      cloud: undefined,
    },
    signals,
  );
}

function controlPlaneOf({ controlPlaneUrl = "", queue }: LocalConfig, directory: string, log: Log): WayOut {
  if (!queue) {
    return {
      controlPlane: controlPlaneClient(controlPlaneUrl),
      sendHeartbeats: heartbeatsInThread({ controlPlaneUrl }),
    };
  }
  const { url: queueUrl, region, visibilitySeconds } = queue;
  const aws = awsClient({ region, credentials: steadyCredentials(roleCredentials(imdsClient())) });
  const held = new HeldMessages(join(directory, "queue.json"));
  const positions = new LastPositions(join(directory, "queue-positions.json"), log);
  return { controlPlane: queueControlPlane({ aws, queueUrl, visibilitySeconds, held, positions, log }) };
}
