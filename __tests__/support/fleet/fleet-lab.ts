import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type Activity,
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from "@aws-sdk/client-auto-scaling";
import type { Machine } from "../../../scripts/emulator/machines";
import { type Terraform, terraformIn } from "../../../scripts/emulator/terraform";
import { type ContainerCloud, openContainerCloud } from "../../../scripts/rehearse/cloud/container-cloud";
import { withDials, workersOf } from "../../../scripts/rehearse/deployment/fleet-document";
import { activitiesOf, type Drain, drainOf, goodbyeOf } from "../../../scripts/rehearse/fleet/drains";
import { type Fleet, openFleet } from "../../../scripts/rehearse/fleet/fleet";
import { allReplicate } from "../../../scripts/rehearse/fleet/moves";
import type { Replication, ReplicationJob } from "../../../scripts/rehearse/fleet/replication";
import { instanceRefreshes } from "../../../scripts/rolling-update/aws/instance-refreshes";
import type { InstanceRefreshes } from "../../../scripts/rolling-update/fleet/instance-refresh";
import { readDeployments } from "../../../stacks/deployments";
import { KINDS } from "../../../stacks/kinds";
import { synthesize } from "../../../stacks/synthesize";
import { clusterImage } from "../instance/lab";
import { PATIENCE_MS, until } from "../instance/until";

const REGION = "us-west-2";
const NAME = "lab";
const POOL = "streaming";
const GROUP = `ez-cdc-${NAME}-${POOL}`;
const CREDENTIALS = { accessKeyId: "emulator", secretAccessKey: "emulator" };
/** Well beyond the drain's deadline: a group that waited for it would show. */
const TERMINATE_HOOK_TIMEOUT_SECONDS = 300;

/** A worker as its group shows it. */
export interface LabWorker {
  readonly instanceId: string;
  readonly lifecycle: string;
  readonly isProtected: boolean;
}

/** What a document says of the lab's fleet, where it changes. */
export interface FleetRelease {
  readonly daemonVersion: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A fleet of workers in a cloud whose instances are containers, with jobs that replicate. */
export interface FleetLab {
  readonly cloud: () => ContainerCloud;
  /** Name of the workers' group. */
  readonly group: string;
  readonly replication: () => Replication;
  readonly terraform: () => Terraform;
  /** Writes the document anew, for the next apply. */
  release(release: FleetRelease): Promise<void>;
  workers(): Promise<readonly LabWorker[]>;
  /** Sets how many workers the group wants. */
  resize(count: number): Promise<void>;
  readonly refreshes: () => InstanceRefreshes;
  machine(instanceId: string): Machine;
  /** The group's activities of a kind, such as "Terminating EC2 instance", by the instance. */
  activities(kind: string): Promise<ReadonlyMap<string, Activity>>;
  /** How the group ended a worker; undefined as long as it has not. */
  drainOf(instanceId: string): Promise<Drain | undefined>;
  /** When a worker told the control plane that it holds nothing any more; null where it never did. */
  goodbyeOf(instanceId: string): Promise<Date | null>;
  readonly drainDeadlineMs: number;
  readonly terminateHookTimeoutMs: number;
  /** Waits until a condition holds. @throws Error with what is known of workers and jobs where it never does. */
  until(what: string, holds: () => Promise<boolean>): Promise<void>;
  /** Waits until the group has so many workers, all of them in service. */
  inService(count: number): Promise<void>;
  /** Waits until every job replicates, on workers that are in service. @returns the jobs. */
  replicating(): Promise<readonly ReplicationJob[]>;
  /** Adds figures to what is printed when the tests of the file are over. */
  measured(figures: Readonly<Record<string, unknown>>): void;
}

export interface FleetLabOptions {
  readonly workers: number;
  /** Jobs that one worker runs at a time. */
  readonly slots: number;
  /** Of each worker's jobs to be let go. */
  readonly drainDeadlineSeconds: number;
}

/** Gives the tests of a file one fleet, not applied yet. */
export function useFleetLab(options: FleetLabOptions): FleetLab {
  jest.setTimeout(4 * PATIENCE_MS);
  let cloud: ContainerCloud | undefined;
  let fleet: Fleet | undefined;
  let terraform: Terraform | undefined;
  let directory = "";
  const figures: Record<string, unknown> = {};
  const started = <T>(it: T | undefined): T => {
    if (it === undefined) throw new Error("the lab is open from beforeAll on");
    return it;
  };
  const client = <T>(make: new (settings: object) => T): T =>
    new make({ region: REGION, endpoint: started(cloud).aws.url, credentials: CREDENTIALS });

  const documentOf = ({ daemonVersion, labels = {} }: FleetRelease) => ({
    kind: "worker-fleet",
    name: NAME,
    aws: { region: REGION },
    control_plane: {
      url: "https://control.example.com",
      token: { ssm_parameter_arn: `arn:aws:ssm:${REGION}:123456789012:parameter/ez-cdc/worker-token` },
    },
    network: {
      create: {
        cidr_block: `10.${started(cloud).lab.id}.16.0/22`,
        availability_zones: [`${REGION}a`, `${REGION}b`],
      },
    },
    daemon_release: { version: daemonVersion, bucket: "releases", region: REGION, sha256: { x86_64: "0".repeat(64) } },
    pools: {
      [POOL]: {
        instance_types: ["c6i.large"],
        images: { x86_64: "ami-0123456789abcdef0" },
        size: { min: 1, max: 2 * options.workers, initial: options.workers },
        slots: options.slots,
        labels,
        drain: { mode: "handoff", deadline_seconds: options.drainDeadlineSeconds },
        hooks: { terminate_timeout_seconds: TERMINATE_HOOK_TIMEOUT_SECONDS },
        instance_refresh: { warmup_seconds: 0 },
      },
    },
  });
  const release = async (wanted: FleetRelease) => {
    const { dials, releases } = started(fleet);
    const sha256 = await releases.daemon(wanted.daemonVersion);
    const file = join(directory, "lab.yaml");
    writeFileSync(file, withDials(JSON.stringify(documentOf(wanted)), NAME, { ...dials, sha256 }));
    const outdir = join(directory, "cdktf.out");
    const [stack] = synthesize(readDeployments([file], KINDS), outdir);
    terraform ??= terraformIn(join(outdir, dirname(stack?.path ?? "")), started(cloud).aws);
  };

  beforeAll(async () => {
    cloud = await openContainerCloud({ image: await clusterImage() });
    directory = mkdtempSync(join(tmpdir(), "holdfast-fleet-"));
    const workers = workersOf(documentOf({ daemonVersion: "0.0.0" }));
    if (!("needs" in workers)) throw new Error(JSON.stringify(workers));
    const { lab, aws } = cloud;
    fleet = await openFleet({ lab, url: aws.url, region: REGION, name: NAME, needs: workers.needs });
  }, 4 * PATIENCE_MS);
  afterAll(async () => {
    console.log("worker fleet", figures);
    await fleet?.stop();
    await cloud?.close();
    if (directory !== "") rmSync(directory, { recursive: true });
  });

  const workers = async (): Promise<LabWorker[]> => {
    const described = await client(AutoScalingClient).send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [GROUP] }),
    );
    const { Instances = [] } = described.AutoScalingGroups?.[0] ?? {};
    return Instances.map(({ InstanceId = "", LifecycleState = "", ProtectedFromScaleIn = false }) => ({
      instanceId: InstanceId,
      lifecycle: LifecycleState,
      isProtected: ProtectedFromScaleIn,
    }));
  };
  const consoles = async () => {
    const texts = (await workers()).map(async (worker) => {
      const machine = cloud?.machineOf(worker.instanceId);
      const logs = await machine?.exec("sh", "-c", "tail -n 30 /var/log/holdfast/*").catch(() => machine.console());
      return `${JSON.stringify(worker)}:\n${logs?.slice(-6_000) ?? "no machine"}`;
    });
    return [JSON.stringify(await fleet?.replication.jobs(), undefined, 1), ...(await Promise.all(texts))].join("\n");
  };
  const patiently = (what: string, holds: () => Promise<boolean>) => until(what, holds, consoles);
  return {
    cloud: () => started(cloud),
    group: GROUP,
    replication: () => started(fleet).replication,
    terraform: () => started(terraform),
    release,
    workers,
    resize: async (count) => {
      await client(AutoScalingClient).send(
        new SetDesiredCapacityCommand({ AutoScalingGroupName: GROUP, DesiredCapacity: count }),
      );
    },
    refreshes: () => {
      Object.assign(process.env, { AWS_ACCESS_KEY_ID: "emulator", AWS_SECRET_ACCESS_KEY: "emulator" });
      return instanceRefreshes({ region: REGION, endpoint: started(cloud).aws.url });
    },
    machine: (instanceId) => {
      const machine = started(cloud).machineOf(instanceId);
      if (machine === undefined) throw new Error(`${instanceId} has no machine`);
      return machine;
    },
    activities: (kind) => activitiesOf(client(AutoScalingClient), GROUP, kind),
    drainOf: (worker) => drainOf(client(AutoScalingClient), started(fleet).replication, GROUP, worker),
    goodbyeOf: (worker) => goodbyeOf(started(fleet).replication, worker),
    drainDeadlineMs: options.drainDeadlineSeconds * 1_000,
    terminateHookTimeoutMs: TERMINATE_HOOK_TIMEOUT_SECONDS * 1_000,
    inService: (count) =>
      patiently(`${count} workers are in service`, async () => {
        const now = await workers();
        return now.length === count && now.every(({ lifecycle }) => lifecycle === "InService");
      }),
    until: patiently,
    replicating: async () => {
      let jobs: readonly ReplicationJob[] = [];
      await patiently("every job replicates on a worker in service", async () => {
        jobs = await started(fleet).replication.jobs();
        const inService = (await workers()).filter(({ lifecycle }) => lifecycle === "InService");
        return allReplicate(jobs, new Set(inService.map(({ instanceId }) => instanceId)));
      });
      return jobs;
    },
    measured: (more) => void Object.assign(figures, more),
  };
}
