import type { Scheduler } from "../../emulator/scheduler";
import { type Cloud, type CloudError, type Group, type Hook, MUTATIONS, type TemplateVersion } from "../cloud";
import { intercept } from "../intercept";
import type { Manifest, ManifestNode } from "../manifest";
import { AutoScaling, type AutoScalingTimings } from "./auto-scaling";
import { Ec2, type Ec2Timings } from "./ec2";
import type { GuestProgram } from "./guests";
import { forbidden } from "./permitted-calls";
import type { Process } from "./virtual-clock";

export interface RegionOptions {
  readonly nodes?: number;
  /** Zone of each node in turn. @default three zones, in turn */
  readonly zones?: readonly string[];
  readonly ec2?: Partial<Ec2Timings>;
  readonly autoScaling?: Partial<AutoScalingTimings>;
  readonly hook?: Partial<Pick<Hook, "heartbeatMs" | "globalMs">>;
  /** Also run this hook when an instance terminates. */
  readonly terminateHookMs?: number;
  readonly bootMs?: () => number;
  /** Nodes whose group is made only by {@link SimulatedRegion.makeGroup}: an apply that stopped before it, or a node that is added. */
  readonly groupless?: readonly string[];
  /** Address of each node in turn. @default private addresses nobody answers at */
  readonly addresses?: readonly string[];
}

/** How the API looks from one process. */
export interface Connection {
  /** Age of what a describe call shows. */
  readonly staleMs?: () => number;
  /** Duration of a call; it takes effect half way. */
  readonly latencyMs?: () => number;
  /** An error instead of the call. */
  readonly fault?: (method: keyof Cloud) => CloudError | undefined;
  /** Runs around a call: the place of crashes and counters. */
  readonly around?: (method: keyof Cloud, call: () => Promise<unknown>) => Promise<unknown>;
}

export const ACCOUNT = "123456789012";
export const REGION = "eu-west-1";
const HOUR_MS = 3_600_000;

/** One region with one cluster of single-instance groups; what runs on its instances is bound to it by others. */
export class SimulatedRegion {
  readonly ec2: Ec2;
  readonly autoScaling: AutoScaling;
  readonly manifest: Manifest;
  readonly firing = new Set<string>();
  /** Every mutating call that reached AWS, in order. */
  readonly mutations: { readonly atMs: number; readonly method: keyof Cloud; readonly args: readonly unknown[] }[] = [];
  /** Calls per method, mutating or not. */
  readonly calls = new Map<keyof Cloud, number>();
  /** Told when a caller takes an instance out, before it happens. */
  onRemoval: (instanceId: string) => void = () => {};
  readonly #programs = new Map<string, GuestProgram>();
  readonly #bootMs: () => number;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly options: RegionOptions = {},
  ) {
    this.ec2 = new Ec2(scheduler, {
      startMs: () => 15_000,
      shutdownMs: () => 40_000,
      detachMs: () => 3_000,
      ...options.ec2,
    });
    this.autoScaling = new AutoScaling(scheduler, this.ec2, {
      noticeMs: 2_000,
      firstBackOffMs: 15_000,
      longestBackOffMs: 15 * 60_000,
      healthCheckMs: 30_000,
      ...options.autoScaling,
    });
    this.#bootMs = options.bootMs ?? (() => 60_000);
    const nodes = Array.from({ length: options.nodes ?? 3 }, (_, index) => this.#addNode(index));
    this.manifest = {
      cluster: "orders",
      accountId: ACCOUNT,
      region: REGION,
      tag: { key: "holdfast:cluster", value: "orders" },
      nodes,
    };
  }

  /** The manifest as a deployment writes it: with the template version each group was given. */
  deployment(): Manifest {
    const nodes = this.manifest.nodes.map((node) => {
      const { template } = this.group(node.group);
      const { id, version } = this.ec2.template(template?.id ?? "", template?.version);
      return { ...node, template: { id, version } };
    });
    return { ...this.manifest, nodes };
  }

  nodeOf(instanceId: string): string | undefined {
    const interfaceId = this.ec2.instances.get(instanceId)?.current.interfaceId;
    return this.manifest.nodes.find((node) => node.interfaceId === interfaceId)?.id;
  }

  group(name: string): Group {
    const group = this.autoScaling.groups.get(name);
    if (!group) throw new Error(`no group ${name}`);
    return group.view.current;
  }

  /** A new template version for every node (or those named), set on their groups as `terraform apply` would. */
  release(
    program: Partial<GuestProgram> = {},
    nodeIds: readonly string[] = this.manifest.nodes.map(({ id }) => id),
    reference: (version: number) => string = String,
  ): void {
    for (const node of this.manifest.nodes.filter(({ id }) => nodeIds.includes(id))) {
      const version = this.addVersion(node, program);
      this.autoScaling.update(node.group, { template: { id: templateId(node), version: reference(version) } });
    }
  }

  addVersion(node: ManifestNode, program: Partial<GuestProgram> = {}, change: Partial<TemplateVersion> = {}): number {
    const version = this.ec2.addTemplateVersion(templateId(node), {
      spot: false,
      interfaces: [{ id: node.interfaceId, deleteOnTermination: false }],
      ...change,
    });
    this.#programs.set(`${templateId(node)}:${version}`, { boot: "joins", bootMs: this.#bootMs, ...program });
    return version;
  }

  /** The Cloud as one process sees it. A call that no roller may make ends the whole simulation, whatever its maker does about it. */
  connect(process: Process, connection: Connection = {}): Cloud {
    const stale = connection.staleMs ?? (() => 0);
    const api = this.#api(stale);
    return intercept(api, (method, call, args) => {
      const offence = forbidden(method, args);
      if (offence !== undefined) {
        this.scheduler.after(0, () => {
          throw new Error(offence);
        });
        return new Promise(() => {});
      }
      const travel = async () => {
        const latency = connection.latencyMs?.() ?? 0;
        if (latency > 0) await process.sleep(latency / 2);
        this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
        const fault = connection.fault?.(method);
        if (fault) throw fault;
        if (isMutation(method)) this.mutations.push({ atMs: this.scheduler.now(), method, args });
        const answer = await call();
        if (latency > 0) await process.sleep(latency / 2);
        return answer;
      };
      return process.whileAlive(connection.around ? connection.around(method, travel) : travel());
    });
  }

  #api(staleMs: () => number): Cloud {
    const { ec2, autoScaling } = this;
    const seenGroup = (name: string) => autoScaling.groups.get(name)?.view.seen(staleMs());
    const hook = (name: string) => [...(autoScaling.groups.get(name)?.hooks.values() ?? [])];
    const see = <T>(source: Map<string, { seen(ms: number): T | undefined }>, ids: readonly string[]) =>
      ids.flatMap((id) => source.get(id)?.seen(staleMs()) ?? []);
    return {
      identity: async () => ({ accountId: ACCOUNT, region: REGION }),
      describeGroups: async (names) => names.flatMap((name) => seenGroup(name) ?? []),
      describeActivities: async (name, sinceMs) =>
        (autoScaling.groups.get(name)?.activities.seen(staleMs())?.list ?? []).filter((a) => a.startedMs >= sinceMs),
      describeHooks: async (name) => hook(name),
      describeInstances: async (ids) => see(ec2.instances, ids),
      describeInterfaces: async (ids) => see(ec2.interfaces, ids),
      describeVolumes: async (ids) => see(ec2.volumes, ids),
      describeTemplate: async (id, version) => ec2.template(id, version),
      impairedZones: async () => [...ec2.impaired],
      consoleOutput: async (id) => ec2.console.get(id) ?? "",
      firingAlarms: async (names) => names.filter((name) => this.firing.has(name)),
      suspendLaunch: async (name) => autoScaling.suspend(name, "Launch"),
      resumeLaunch: async (name) => autoScaling.resume(name, "Launch"),
      terminate: async (id, decrement) => {
        if (autoScaling.lifecycleOf(id)?.startsWith("Terminating") === false) this.onRemoval(id);
        autoScaling.terminate(id, decrement);
      },
      abandon: async (name, hookName, id) => {
        if (autoScaling.lifecycleOf(id) === "Pending:Wait") this.onRemoval(id);
        autoScaling.completeHook(name, hookName, id, "ABANDON");
      },
      heartbeat: async (name, hookName, id) => autoScaling.heartbeat(name, hookName, id),
      resize: async (name, size) => autoScaling.update(name, size),
      setTemplate: async (name, { id, version }) =>
        autoScaling.update(name, { template: { id, version: String(version) } }),
    };
  }

  #addNode(index: number): ManifestNode {
    const zones = this.options.zones ?? ["a", "b", "c"].map((letter) => `${REGION}${letter}`);
    const id = String(index).padStart(2, "0");
    const zone = zones[index % zones.length] as string;
    const node: ManifestNode = {
      id,
      group: `orders-node-${id}`,
      interfaceId: `eni-${id}`,
      volumeIds: [`vol-${id}`],
      zone,
      ip: this.options.addresses?.[index] ?? `10.0.${index % 250}.10`,
    };
    this.ec2.addInterface({ id: node.interfaceId, status: "available", zone, ip: node.ip, deleteOnTermination: false });
    this.ec2.addVolume({ id: `vol-${id}`, state: "available", zone, deleteOnTermination: false });
    this.addVersion(node);
    if (!this.options.groupless?.includes(id)) this.makeGroup(node);
    return node;
  }

  /** Creates a node's group, which launches its template's newest version soon. */
  makeGroup(node: ManifestNode): void {
    const { version } = this.ec2.template(templateId(node), "$Latest");
    const launchHook: Hook = {
      name: `${node.group}-asg-hook`,
      transition: "launching",
      heartbeatMs: this.options.hook?.heartbeatMs ?? HOUR_MS,
      globalMs: this.options.hook?.globalMs ?? 48 * HOUR_MS,
    };
    const terminateHook: Hook[] =
      this.options.terminateHookMs === undefined
        ? []
        : [
            {
              name: "drain",
              transition: "terminating",
              heartbeatMs: this.options.terminateHookMs,
              globalMs: 48 * HOUR_MS,
            },
          ];
    this.autoScaling.addGroup(
      {
        name: node.group,
        min: 1,
        max: 1,
        desired: 1,
        template: { id: templateId(node), version: String(version) },
        zones: [node.zone],
        subnetIds: [],
        suspended: [],
        retainsInstances: false,
        tags: { "holdfast:cluster": "orders", Name: node.group },
        instances: [],
      },
      [launchHook, ...terminateHook],
    );
  }

  /** What the instance's template version was made to do. */
  programOf(instanceId: string): GuestProgram {
    const template = this.ec2.instances.get(instanceId)?.current.template;
    return this.#programs.get(`${template?.id}:${template?.version}`) ?? { boot: "joins", bootMs: this.#bootMs };
  }
}

export function templateId(node: ManifestNode): string {
  return `lt-${node.id}`;
}

function isMutation(method: keyof Cloud): boolean {
  return (MUTATIONS as readonly string[]).includes(method);
}
