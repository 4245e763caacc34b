import type {
  Activity,
  Cloud,
  Group,
  GroupInstance,
  Hook,
  Instance,
  NetworkInterface,
  Template,
  Volume,
} from "./cloud";
import type { Manifest, ManifestNode } from "./manifest";
import type { Replacement } from "./replacement";
import { RollError } from "./roll-error";

/** One node as AWS shows it at one moment. Interface, volumes and activities are read for nodes being replaced only. */
export interface NodeView {
  readonly node: ManifestNode;
  readonly group: Group;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly networkInterface: NetworkInterface | undefined;
  readonly volumes: readonly Volume[];
  readonly activities: readonly Activity[];
}

export type World = ReadonlyMap<string, NodeView>;

/**
 * Reads the cluster: a handful of calls, however many nodes there are, and one more per node being replaced.
 * @throws RollError GROUP_MISSING
 */
export async function observe(
  cloud: Cloud,
  manifest: Manifest,
  inDetail: readonly ManifestNode[],
  replacements: ReadonlyMap<string, Replacement>,
): Promise<World> {
  const groups = byKey(await cloud.describeGroups(manifest.nodes.map(({ group }) => group)), ({ name }) => name);
  const members = [...groups.values()].flatMap((group) => group.instances.map(({ id }) => id));
  const leaving = inDetail.flatMap(({ id }) => replacements.get(id)?.oldInstance ?? []);
  const ids = [...new Set([...members, ...leaving])];
  const instances = byKey(ids.length === 0 ? [] : await cloud.describeInstances(ids), ({ id }) => id);
  const volumeIds = inDetail.flatMap((node) => node.volumeIds);
  const interfaces = byKey(
    inDetail.length === 0 ? [] : await cloud.describeInterfaces(inDetail.map(({ interfaceId }) => interfaceId)),
    ({ id }) => id,
  );
  const volumes = byKey(volumeIds.length === 0 ? [] : await cloud.describeVolumes(volumeIds), ({ id }) => id);
  const world = new Map<string, NodeView>();
  for (const node of manifest.nodes) {
    const group = groups.get(node.group);
    if (!group) {
      throw new RollError("GROUP_MISSING", `group ${node.group} does not exist`, { node: node.id });
    }
    const startedMs = replacements.get(node.id)?.startedMs;
    world.set(node.id, {
      node,
      group,
      instances,
      networkInterface: interfaces.get(node.interfaceId),
      volumes: node.volumeIds.flatMap((id) => volumes.get(id) ?? []),
      activities:
        startedMs !== undefined && inDetail.includes(node)
          ? await cloud.describeActivities(node.group, startedMs - 3_600_000)
          : [],
    });
  }
  return world;
}

/** The instance that stands for the node: the newest that is not on its way out, and not the one being replaced. */
export function member({ group }: NodeView, not?: string): GroupInstance | undefined {
  return group.instances.filter(({ id, lifecycle }) => id !== not && !lifecycle.startsWith("Terminat")).at(-1);
}

/** Why AWS does not show the node in service, undefined when it does. */
export function outage(view: NodeView, not?: string): string | undefined {
  const current = member(view, not);
  if (!current) return "it has no instance";
  if (current.lifecycle !== "InService") return `instance ${current.id} is ${current.lifecycle}`;
  if (!current.healthy) return `instance ${current.id} is unhealthy`;
  const state = view.instances.get(current.id)?.state;
  return state === "running" ? undefined : `instance ${current.id} is ${state ?? "not known to EC2"}`;
}

/** What keeps interface and volumes from being attached again, undefined when all is free. */
export function occupied(view: NodeView, oldInstance: string | undefined): string | undefined {
  const card = view.networkInterface;
  if (!card) return `interface ${view.node.interfaceId} is not described`;
  const old = oldInstance === undefined ? undefined : view.instances.get(oldInstance);
  if (old && old.state !== "terminated") return `instance ${old.id} is ${old.state}`;
  if (card.status !== "available") return `interface ${card.id} is ${card.status}`;
  const volume = view.volumes.find(({ state }) => state !== "available");
  if (volume) return `volume ${volume.id} is ${volume.state}`;
  return view.volumes.length < view.node.volumeIds.length ? "a volume is not described" : undefined;
}

/** What the replacement still lacks to be the node: its place in the group, the target, the address, the data. */
export function missing(view: NodeView, oldInstance: string | undefined, target: Template): string | undefined {
  const out = outage(view, oldInstance);
  if (out) return out;
  const current = member(view, oldInstance) as GroupInstance;
  if (current.template?.id !== target.id || current.template.version !== String(target.version)) {
    return `instance ${current.id} is not of ${target.id}:${target.version}`;
  }
  if (view.networkInterface?.instanceId !== current.id || view.networkInterface.status !== "in-use") {
    return `instance ${current.id} does not hold ${view.node.interfaceId}`;
  }
  const unattached = view.node.volumeIds.find(
    (id) =>
      !view.volumes.some((volume) => volume.id === id && volume.instanceId === current.id && volume.state === "in-use"),
  );
  return unattached === undefined ? undefined : `instance ${current.id} does not hold ${unattached}`;
}

/** The launch hook an instance of the group may wait in. */
export function launchHook(hooks: readonly Hook[]): Hook | undefined {
  return hooks.find(({ transition }) => transition === "launching");
}

export function byKey<T>(values: readonly T[], key: (value: T) => string): Map<string, T> {
  return new Map(values.map((value) => [key(value), value]));
}
