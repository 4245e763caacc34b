import { mkdir, readFile } from "node:fs/promises";
import { createLog, type Log, reason } from "../host/log";
import { machineStops, notifySystemd, watchdogPeriodMs } from "../host/systemd";
import { type AgentEnd, type AgentSignals, runAgent, type WayOut } from "./agent";
import { ec2Cloud } from "./cloud";
import { controlPlaneClient } from "./control-plane-client";
import { daemonApi } from "./daemon/daemon-api";
import { limitsOfSlot } from "./daemon/daemon-unit";
import { PortPool } from "./daemon/free-port";
import { JobLogs } from "./daemon/job-logs";
import { daemonQuirks } from "./daemon/quirks";
import { systemdHost } from "./daemon/systemd-host";
import { fetchDeploymentToken } from "./deployment-token";
import { guardClient } from "./guard-client";
import { heartbeatsInThread } from "./heartbeat-thread";
import { type Instance, instance } from "./instance";
import { PATHS, TOKEN_CREDENTIAL } from "./paths";
import { HeldMessages } from "./queue/held-messages";
import { LastPositions } from "./queue/last-positions";
import { queueControlPlane } from "./queue/queue-control-plane";
import release from "./release.json";
import { steadyCredentials } from "./steady-credentials";
import { daemonVersion, instanceUpgrades } from "./upgrade/instance-upgrades";

/** Runs the agent on an instance of a fleet. */
export async function runInstanceAgent(signals: AgentSignals): Promise<AgentEnd> {
  const log = createLog();
  const here = await instance(steadyCredentials);
  const { config, imds, identity, aws } = here;
  const directory = `${PATHS.state}/jobs`;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const guard = guardClient(PATHS.guardSocket);
  const version = await daemonVersion();
  const jobLogs = new JobLogs({ directory: PATHS.jobLogs, cursorFile: PATHS.journalCursor }, log);
  const agent = runAgent(
    {
      worker: {
        workerId: identity.instanceId,
        agentVersion: release.version,
        daemonVersion: version,
        pool: config.pool,
        labels: config.labels ?? {},
        slots: config.slots,
      },
      drain: config.drain,
      maxJobAgeMs: (config.maxJobAgeSeconds ?? Number.POSITIVE_INFINITY) * 1_000,
    },
    {
      ...controlPlaneOf(here, log),
      deploymentToken: (anew) => deploymentToken(anew, here, log),
      log,
      host: jobLogs.of(systemdHost({ directory, guard, limits: limitsOfSlot(config.slots) })),
      ports: new PortPool(PATHS.ports),
      quirks: daemonQuirks({ kind: "dbmazz", version }),
      api: daemonApi,
      holdLease: guard.holdLease,
      notify: (state) => notifySystemd(state).catch((error) => log.warn("systemd not told", { reason: reason(error) })),
      watchdogPeriodMs: watchdogPeriodMs(),
      machineStops,
      upgrades: instanceUpgrades(config, aws),
      cloud: ec2Cloud({
        config,
        instanceId: identity.instanceId,
        aws,
        imds,
        log,
        copyLastWords: () => jobLogs.finish(),
      }),
    },
    signals,
  );
  // Without the CloudWatch agent nobody would read the copy.
  return config.cloudWatchAgent ? await jobLogs.followUntil(agent) : await agent;
}

function controlPlaneOf({ config, identity, aws, dnsSuffix }: Instance, log: Log): WayOut {
  const { queue } = config;
  if (!queue?.arn) {
    const controlPlaneUrl = config.controlPlaneUrl ?? "";
    return {
      controlPlane: controlPlaneClient(controlPlaneUrl),
      sendHeartbeats: heartbeatsInThread({ controlPlaneUrl }),
    };
  }
  const [region, account, name] = queue.arn.split(":").slice(3);
  if (region !== identity.region) {
    throw new Error(`${queue.arn} is in another region than this instance, which is in ${identity.region}`);
  }
  return {
    controlPlane: queueControlPlane({
      aws,
      queueUrl: `https://sqs.${region}.${dnsSuffix}/${account}/${name}`,
      visibilitySeconds: queue.visibilitySeconds,
      held: new HeldMessages(`${PATHS.state}/queue.json`),
      positions: new LastPositions(`${PATHS.state}/queue-positions.json`, log),
      log,
    }),
  };
}

async function deploymentToken(anew: boolean, { aws, config }: Instance, log: Log): Promise<string> {
  if (config.queue?.arn) return "";
  const credentials = process.env["CREDENTIALS_DIRECTORY"];
  const value =
    anew || !credentials
      ? await fetchDeploymentToken(aws, config.token ?? {})
      : (await readFile(`${credentials}/${TOKEN_CREDENTIAL}`, "utf8")).trim();
  log.redact(value);
  return value;
}
