import type { Aws } from "../host/aws";
import type { InstanceIdentity } from "../host/imds";
import type { LifecycleHook } from "../host/lifecycle-hook";
import type { Log } from "../host/log";
import { withDeadline } from "../host/waiting";
import { BootError } from "./boot-error";
import type { DataLayout, NodeConfiguration } from "./configuration";
import { assertMounted } from "./disk/mount";
import { placeFile } from "./files";
import { completeLaunch } from "./launch-hook";
import { prepareFilesystem } from "./prepare-filesystem";
import { runScriptFunction, type ScriptCall } from "./script/run-function";
import { placeScript } from "./script/source";
import type { Journal, Step } from "./state";
import { type AttachedVolume, attachVolume } from "./volume/attach";

export interface BootPaths {
  readonly state: string;
  /** Where the node config script is put. */
  readonly script: string;
  readonly scriptLog: string;
}

export interface Joining {
  readonly configuration: NodeConfiguration;
  readonly identity: InstanceIdentity;
  readonly aws: Aws;
  readonly hook: LifecycleHook;
  readonly journal: Journal;
  readonly log: Log;
  readonly paths: BootPaths;
}

interface MountedData {
  readonly device: string;
  readonly layout: DataLayout;
}

/** For steps that are calls of AWS or of the metadata service, each of which retries by itself. */
const SHORT_STEP_MS = 5 * 60_000;
/** A step knows best why it gives up, and has this long to say so after its deadline. */
const GRACE_MS = 30_000;

/**
 * The steps of a boot, in order. Each looks at what is there and does what is missing, so that the whole may be repeated; only
 * the script's configure_cluster_node is called once per instance.
 *
 * @throws BootError, AwsError, DeadlineError or Error; the journal names the step.
 */
export async function joinCluster(joining: Joining): Promise<void> {
  const { configuration, identity, aws, hook, journal, log, paths } = joining;
  const { volumes, configure, health } = configuration.deadlineSeconds;

  const step = async <T>(name: Step, timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    await journal.record({ step: name });
    log.info("step started", { step: name });
    const result = await withDeadline(name, timeoutMs + GRACE_MS, () => work(AbortSignal.timeout(timeoutMs)));
    log.info("step done", { step: name });
    return result;
  };

  await step("identity", SHORT_STEP_MS, async () => assertAddress(configuration, identity.privateIp));
  const attached = await step("attach", volumes * 1_000, (signal) => attachAll(joining, signal));
  const mounted = await step("filesystem", volumes * 1_000, (signal) => mountAll(joining, attached, signal));
  await step("files", SHORT_STEP_MS, async () => {
    for (const file of configuration.files) await placeFile(aws, file);
    await placeScript(aws, configuration.script, paths.script);
  });
  await step("configure", configure * 1_000, async () => {
    if (journal.state.configured) return;
    await callScript("configure_cluster_node", joining, mounted, configure * 1_000);
    await journal.record({ configured: true });
  });
  await step("health", health * 1_000, () => callScript("wait_for_healthy_cluster", joining, mounted, health * 1_000));
  await step("complete", SHORT_STEP_MS, async (signal) => {
    if (journal.state.completed) return;
    await completeLaunch(aws, hook, log, signal);
    await journal.record({ completed: true });
  });
}

/** The address is the node's identity in its cluster: an instance without it must not join. */
function assertAddress({ nodeId, nodeIp }: NodeConfiguration, privateIp: string): void {
  if (privateIp === nodeIp) return;
  throw new BootError({
    code: "wrong-address",
    message: `this instance has address ${privateIp}, node ${nodeId} is ${nodeIp}`,
    remedy:
      "the launch template must carry the node's network interface as device 0; look at what launched this instance",
  });
}

async function attachAll(
  { configuration, identity, aws, log }: Joining,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, AttachedVolume>> {
  const { instanceId, availabilityZone } = identity;
  const attaching = Object.entries(configuration.volumes).map(async ([name, volume]) => {
    const request = { ...volume, instanceId, availabilityZone };
    return [name, await attachVolume(aws, request, log, signal)] as const;
  });
  return new Map(await Promise.all(attaching));
}

async function mountAll(
  { configuration, aws, log }: Joining,
  attached: ReadonlyMap<string, AttachedVolume>,
  signal: AbortSignal,
): Promise<MountedData[]> {
  const toolTimeoutMs = configuration.deadlineSeconds.volumes * 1_000;
  const mounted: MountedData[] = [];
  for (const layout of configuration.data) {
    const volume = attached.get(layout.volume);
    if (!volume) throw new Error(`${layout.path} is to be on volume ${layout.volume}, which this node does not have`);
    const description = `Data volume ${volume.volume.volumeId} of node ${configuration.nodeId}`;
    const device = await prepareFilesystem(aws, volume, layout, description, log, signal, toolTimeoutMs);
    mounted.push({ device, layout });
  }
  return mounted;
}

/** Nothing of the application runs unless every data path is mounted at this moment. */
async function callScript(
  call: ScriptCall["call"],
  { configuration, identity, log, paths }: Joining,
  mounted: readonly MountedData[],
  timeoutMs: number,
): Promise<void> {
  for (const { device, layout } of mounted) await assertMounted({ device, ...layout });
  await runScriptFunction({
    script: paths.script,
    call,
    nodeId: configuration.nodeId,
    nodeIp: configuration.nodeIp,
    region: identity.region,
    logFile: paths.scriptLog,
    onLine: (line) => log.info(line, { from: call }),
    timeoutMs,
  });
}
