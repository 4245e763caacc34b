import { appendFile } from "node:fs/promises";
import type { Aws } from "../host/aws";
import type { run } from "../host/child";
import { writeFileAtomic } from "../host/files";
import type { InstanceIdentity } from "../host/imds";
import { completeHook, type LifecycleHook, prolongHook } from "../host/lifecycle-hook";
import { type Log, reason } from "../host/log";
import { withDeadline } from "../host/waiting";
import type { WorkerConfig } from "./config";
import { installAgentRelease, installDaemonRelease } from "./install-release";
import { minuteOf, putMetrics } from "./metrics";
import { GUARD_UNIT, PATHS, TOKEN_UNIT, WORKER_UNIT } from "./paths";
import { LOG_ROTATION, unitFiles } from "./units";

/** What a boot works on. */
export interface BootHost {
  readonly config: WorkerConfig;
  readonly identity: InstanceIdentity;
  readonly aws: Aws;
  readonly log: Log;
  /** Spawns a program. */
  readonly run: typeof run;
  /** Directory that stands for /; empty on an instance. */
  readonly root: string;
  /** The interpreter that the units are to use: a path that stays. */
  readonly node: string;
}

interface BootStep {
  readonly name: string;
  readonly timeoutMs: number;
  readonly work: (signal: AbortSignal) => Promise<unknown>;
  /** Tells why it failed, if anything knows better than its error; may take a while. @default - nothing does */
  readonly lastWords?: () => Promise<string>;
}

class StepFailed extends Error {
  constructor(
    readonly step: BootStep,
    cause: unknown,
  ) {
    super(`could not ${step.name}`, { cause });
  }
}

/** Each call that giving up makes to AWS: the group should learn of it within ten seconds. */
const GIVE_UP_TIMEOUT_MS = 8_000;

/** Longest time from the start of the agent to its registration. */
const REGISTRATION_TIMEOUT_SECONDS = 240;

/** The tag, as EC2 limits it. */
const BOOT_TAG = "holdfast:boot";
const TAG_VALUE_LENGTH = 256;

/**
 * Turns a fresh instance into a worker: step by step, each with its deadline, while the launch hook is kept waiting. The
 * hook is completed with CONTINUE once the agent is registered; on any failure with ABANDON, and the machine powers off.
 *
 * @returns whether the instance is in service.
 */
export async function bootWorker(host: BootHost): Promise<boolean> {
  const { config, identity, aws, log } = host;
  const hook: LifecycleHook = {
    autoScalingGroupName: config.autoScalingGroupName,
    hookName: config.launchHookName,
    instanceId: identity.instanceId,
    heartbeatTimeoutSeconds: config.launchHookTimeoutSeconds,
  };
  const booted = new AbortController();
  const waiting = prolongHook(aws, hook, log, booted.signal);
  try {
    for (const step of bootSteps(host)) await take(step, log);
    booted.abort();
    await completeHook(aws, hook, "CONTINUE", log);
    await writeFileAtomic(host.root + PATHS.inService, "");
    return true;
  } catch (error) {
    booted.abort();
    await giveUp(host, hook, error);
    return false;
  } finally {
    await waiting;
  }
}

function bootSteps({ config, identity, aws, log, run, root, node }: BootHost): BootStep[] {
  const { hooks, cloudWatchAgent, agentRelease, daemonRelease } = config;
  const say = (line: string) => log.info(line);
  const script = (name: string, text: string): BootStep => ({
    name: `run the ${name} hook`,
    timeoutMs: 300_000,
    work: () => run("/bin/sh", ["-eu"], { timeoutMs: 295_000, input: text, onLine: say }),
  });
  const steps: (BootStep | false | undefined | null | "")[] = [
    { name: "check the proxy", timeoutMs: 1_000, work: async () => checkProxySupport() },
    hooks?.beforeInstall && script("beforeInstall", hooks.beforeInstall),
    { name: "write the units", timeoutMs: 10_000, work: () => writeUnits(root, node) },
    cloudWatchAgent && {
      name: "start the CloudWatch agent",
      timeoutMs: 240_000,
      work: () => startCloudWatchAgent(cloudWatchAgent, run, root, say),
    },
    {
      name: "fetch the agent",
      timeoutMs: 120_000,
      work: (signal) => installAgentRelease(aws, agentRelease, root, signal),
    },
    daemonRelease && {
      name: "fetch the daemon",
      timeoutMs: 300_000,
      work: (signal) => installDaemonRelease(aws, daemonRelease, identity.architecture, root, signal),
    },
    hooks?.afterInstall && script("afterInstall", hooks.afterInstall),
    {
      name: "start the agent and register",
      timeoutMs: (REGISTRATION_TIMEOUT_SECONDS + 100) * 1_000,
      work: () => startAgent(run, say),
      lastWords: () => lastWords(run),
    },
  ];
  return steps.filter((step) => typeof step === "object" && step !== null);
}

async function take(step: BootStep, log: Log): Promise<void> {
  const { name, timeoutMs, work } = step;
  const started = performance.now();
  try {
    await withDeadline(name, timeoutMs, work);
  } catch (error) {
    throw new StepFailed(step, error);
  }
  log.info(name, { seconds: Math.round((performance.now() - started) / 100) / 10 });
}

/** Node.js reads the proxy's variables since 22.21 and 24.0 only; without that every call would go around the proxy. */
function checkProxySupport(): void {
  if (process.env["HTTPS_PROXY"] && !process.allowedNodeEnvironmentFlags.has("--use-env-proxy")) {
    throw new Error(`a proxy needs Node.js 22.21 or later, or 24; this is ${process.version}`);
  }
}

async function writeUnits(root: string, node: string): Promise<void> {
  for (const [path, text] of Object.entries(unitFiles(node))) await writeFileAtomic(root + path, text);
  await writeFileAtomic(root + PATHS.logRotation, LOG_ROTATION);
}

async function startCloudWatchAgent(
  config: object,
  run: BootHost["run"],
  root: string,
  onLine: (line: string) => void,
): Promise<void> {
  const { cloudWatchControl, cloudWatchConfig } = PATHS;
  const options = { timeoutMs: 180_000, onLine };
  await run("/bin/sh", ["-c", `[ -x ${cloudWatchControl} ] || dnf install -qy amazon-cloudwatch-agent`], options);
  await writeFileAtomic(root + cloudWatchConfig, JSON.stringify(config));
  await run(cloudWatchControl, ["-a", "fetch-config", "-m", "ec2", "-s", "-c", `file:${cloudWatchConfig}`], options);
}

/** `systemctl start` returns when the agent has said READY=1, and that it says after its registration. */
async function startAgent(run: BootHost["run"], onLine: (line: string) => void): Promise<void> {
  const timeoutMs = (REGISTRATION_TIMEOUT_SECONDS + 95) * 1_000;
  await run("systemd-sysusers", [PATHS.users], { timeoutMs: 30_000, onLine });
  await run("systemctl", ["daemon-reload"], { timeoutMs: 30_000, onLine });
  await run("systemctl", ["enable", WORKER_UNIT], { timeoutMs: 30_000, onLine });
  await run("systemctl", ["start", GUARD_UNIT], { timeoutMs, onLine });
  await run("systemctl", ["start", WORKER_UNIT], { timeoutMs, onLine });
}

/** What the agent, or the fetching of its token, said last: systemctl itself only says that it failed. */
async function lastWords(run: BootHost["run"]): Promise<string> {
  const timeoutMs = 5_000;
  const status = await run("systemctl", ["show", "--value", "-p", "StatusText", WORKER_UNIT], { timeoutMs });
  if (status.trim()) return status.trim();
  const units = ["-u", TOKEN_UNIT, "-u", GUARD_UNIT, "-u", WORKER_UNIT];
  const journal = await run("journalctl", ["-qo", "cat", "-n", "4", ...units], { timeoutMs });
  return journal.trim().replaceAll("\n", "; ");
}

async function whyOf(error: unknown): Promise<string> {
  const words = error instanceof StepFailed && (await error.step.lastWords?.().catch(() => ""));
  return words ? `${(error as Error).message}: ${words}` : reason(error);
}

/** Says why, everywhere someone may look, has the group replace the instance, and turns it off. */
async function giveUp({ config, aws, log, run, identity, root }: BootHost, hook: LifecycleHook, error: unknown) {
  const timeoutMs = GIVE_UP_TIMEOUT_MS;
  // The group does not wait for the reason.
  const abandoned = Promise.allSettled([completeHook(aws, hook, "ABANDON", log, timeoutMs)]);
  const why = await whyOf(error);
  log.error("boot failed", { reason: why });
  const tag = { Key: BOOT_TAG, Value: `failed: ${why}`.slice(0, TAG_VALUE_LENGTH) };
  const told = await Promise.allSettled([
    aws.call("ec2", "CreateTags", { ResourceId: [identity.instanceId], Tag: [tag] }, { timeoutMs }),
    putMetrics(aws, config, minuteOf(Date.now()), { BootFailed: 1 }, timeoutMs),
    appendFile(`${root}/dev/console`, `holdfast: boot failed: ${why}\n`),
  ]);
  for (const outcome of [...(await abandoned), ...told]) {
    if (outcome.status === "rejected") log.warn("could not report the failure", { reason: reason(outcome.reason) });
  }
  await run("systemctl", ["poweroff"], { timeoutMs: 10_000 });
}
