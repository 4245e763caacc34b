import * as z from "zod/mini";
import type { Clock } from "./clock";
import type { Cloud, Group, Hook, Template, TemplateVersion } from "./cloud";
import { readJournal } from "./journal";
import type { Manifest, ManifestNode } from "./manifest";
import { inOrder } from "./order";
import { type NodeSetup, type PreflightRule, preflight, type Refusal, verifyTarget } from "./preflight";
import type { ClusterProbe } from "./probe";
import { isOver, isSame, type Replacement } from "./replacement";
import { RollError } from "./roll-error";
import { LAUNCHES_BY_ITSELF, launchesByItself } from "./self-launch";
import type { Settings } from "./settings";
import { staleness, templateReference } from "./staleness";
import type { Store } from "./store";
import { byKey, member, observe, outage, type World } from "./world";

const templateSchema = z.strictObject({ id: z.string(), version: z.number() });

/** What `roll plan --json` prints. */
export const planSchema = z.strictObject({
  cluster: z.string(),
  nodes: z.array(
    z.strictObject({
      node: z.string(),
      group: z.string(),
      zone: z.string(),
      instance: z.nullable(z.string()),
      current: z.nullable(templateSchema),
      target: templateSchema,
      reason: z.nullable(z.string()),
      /** Position in the order of replacement, from 1; null when the node stays. */
      order: z.nullable(z.number()),
      risks: z.array(z.string()),
    }),
  ),
  refusals: z.array(z.strictObject({ node: z.string(), rule: z.custom<PreflightRule>(), message: z.string() })),
});
export type Plan = z.infer<typeof planSchema>;

/** The cluster verified, its targets resolved: what a plan shows and a roll starts from. */
export interface Survey {
  readonly world: World;
  readonly targets: ReadonlyMap<string, TemplateVersion>;
  readonly hooks: ReadonlyMap<string, readonly Hook[]>;
  readonly refusals: readonly Refusal[];
  readonly impairedZones: readonly string[];
}

/** How long a group may show what it was before the deployment. */
const DEPLOYED_WITHIN_MS = 180_000;
const LOOK_AGAIN_MS = 5_000;

/**
 * Reads everything a roll depends on, and changes nothing.
 * @throws RollError when the target is the wrong one or a template cannot be told; TARGET_NOT_SEEN when a group does not
 * show the deployed template version within three minutes.
 */
export async function survey(
  { cloud, clock }: { readonly cloud: Cloud; readonly clock: Clock },
  manifest: Manifest,
  settings: Settings,
  replacements: ReadonlyMap<string, Replacement>,
): Promise<Survey> {
  const identity = await cloud.identity();
  const groups = byKey<Group>(await cloud.describeGroups(manifest.nodes.map(({ group }) => group)), ({ name }) => name);
  verifyTarget(manifest, identity, groups);
  const deadlineMs = clock.now() + DEPLOYED_WITHIN_MS;
  const targets = new Map<string, TemplateVersion>();
  const hooks = new Map<string, readonly Hook[]>();
  const setups: NodeSetup[] = [];
  for (const node of manifest.nodes) {
    targets.set(node.id, await deployedTarget(cloud, clock, node, groups.get(node.group), deadlineMs));
    hooks.set(node.id, await cloud.describeHooks(node.group));
  }
  const world = await observe(cloud, manifest, manifest.nodes, new Map());
  for (const view of world.values()) {
    const { node } = view;
    const target = targets.get(node.id) as TemplateVersion;
    setups.push({
      ...view,
      target,
      hooks: hooks.get(node.id) ?? [],
      heldByUs: replacements.get(node.id)?.held === true,
    });
  }
  const impairedZones = await cloud.impairedZones();
  return { world, targets, hooks, refusals: preflight(setups, settings), impairedZones };
}

async function deployedTarget(
  cloud: Cloud,
  clock: Clock,
  node: ManifestNode,
  firstSeen: Group | undefined,
  deadlineMs: number,
): Promise<TemplateVersion> {
  let group = firstSeen;
  for (;;) {
    if (group) {
      const { id, version } = templateReference(node, group);
      const target = await cloud.describeTemplate(id, version);
      if (node.template === undefined || isSame(node.template, target)) return target;
      if (clock.now() >= deadlineMs) {
        const shown = `${target.id}:${target.version}`;
        throw new RollError(
          "TARGET_NOT_SEEN",
          `group ${node.group} shows template ${shown} instead of the deployed ${node.template.id}:${node.template.version}`,
          {
            node: node.id,
            next: "apply the deployment again, or hand over the manifest of the one that was applied last",
          },
        );
      }
    } else if (clock.now() >= deadlineMs) {
      throw new RollError("GROUP_MISSING", `group ${node.group} does not exist`, { node: node.id });
    }
    await clock.sleep(LOOK_AGAIN_MS);
    [group] = await cloud.describeGroups([node.group]);
  }
}

/** The nodes to replace and why, in no order. */
export function staleNodes(
  world: World,
  targets: ReadonlyMap<string, Template>,
  forced: ReadonlySet<string>,
): Map<string, string> {
  const reasons = new Map<string, string>();
  for (const view of world.values()) {
    const target = targets.get(view.node.id);
    const reason = target && staleness(view.node, view, target, forced.has(view.node.id));
    if (reason) reasons.set(view.node.id, reason);
  }
  return reasons;
}

/** The plan of a roll: which nodes, why, in which order, at which risk. No call of it changes anything. */
export async function plan(
  ports: { readonly cloud: Cloud; readonly clock: Clock; readonly probe: ClusterProbe; readonly store: Store },
  manifest: Manifest,
  settings: Settings,
): Promise<Plan> {
  const { replacements } = await readJournal(ports.store);
  const { world, targets, refusals, impairedZones } = await survey(ports, manifest, settings, replacements);
  const reasons = staleNodes(world, targets, new Set(settings.force));
  const leader = await ports.probe.leader(manifest.nodes);
  const health = await ports.probe.health(manifest.nodes);
  const isDown = ({ id }: ManifestNode) => downByAws(world, id) || health.get(id)?.ok === false;
  const order = inOrder(
    manifest.nodes.filter(({ id }) => reasons.has(id)),
    isDown,
    leader,
  ).map(({ id }) => id);
  const down = manifest.nodes.filter(isDown);
  const arriving = new Set<string>();
  for (const view of world.values()) {
    const { id } = view.node;
    if (!settings.force.includes(id) && (await launchesByItself(ports.cloud, view, ports.clock.now())))
      arriving.add(id);
  }
  return {
    cluster: manifest.cluster,
    nodes: [...world.values()].map((view) => {
      const { node } = view;
      const current = member(view);
      const target = targets.get(node.id) as TemplateVersion;
      const replacement = replacements.get(node.id);
      const risks: string[] = [];
      if (node.id === leader) risks.push("leads the cluster: its leadership moves");
      if (arriving.has(node.id)) risks.push(`${LAUNCHES_BY_ITSELF}: the roll waits for it`);
      else if (isDown(node)) risks.push("is down already");
      if (down.some((other) => other !== node)) risks.push("waits: another node is down");
      if (impairedZones.includes(node.zone)) risks.push(`zone ${node.zone} is impaired: it cannot be replaced now`);
      if (replacement && !isOver(replacement)) risks.push(`an earlier roll left it ${replacement.state}`);
      if (manifest.nodes.length < 3) risks.push("the cluster has no quorum without it");
      const at = order.indexOf(node.id);
      return {
        node: node.id,
        group: node.group,
        zone: node.zone,
        instance: current?.id ?? null,
        current: current?.template ? { id: current.template.id, version: Number(current.template.version) } : null,
        target: { id: target.id, version: target.version },
        reason: reasons.get(node.id) ?? null,
        order: at === -1 ? null : at + 1,
        risks: at === -1 ? [] : risks,
      };
    }),
    refusals: [...refusals],
  };
}

function downByAws(world: World, node: string): boolean {
  const view = world.get(node);
  return view === undefined || outage(view) !== undefined;
}
