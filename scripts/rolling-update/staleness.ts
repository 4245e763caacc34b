import type { Group, Instance, Template } from "./cloud";
import { CONFIG_HASH_TAG, type ManifestNode } from "./manifest";
import { RollError } from "./roll-error";

/** Why a node is to be replaced; undefined: it is on its target. */
export type StaleReason =
  | "other template"
  | "other version"
  | "other configuration"
  | "no instance"
  | "several instances"
  | "forced";

/** A node's one instance, or what stands in its place. */
export interface Occupancy {
  readonly group: Group;
  /** By instance id, as EC2 describes them. */
  readonly instances: ReadonlyMap<string, Instance>;
}

/**
 * Compares what runs with what the group would launch: template id and version number, and the configuration hash when the
 * deployment has one.
 * @throws RollError TEMPLATE_UNKNOWN when either side cannot be read: unknown is never taken for up to date.
 */
export function staleness(
  node: ManifestNode,
  { group, instances }: Occupancy,
  target: Template,
  forced: boolean,
): StaleReason | undefined {
  const staying = group.instances.filter(({ lifecycle }) => !lifecycle.startsWith("Terminat"));
  const [member, ...more] = staying;
  if (!member) return "no instance";
  if (more.length > 0) return "several instances";
  const running = member.template;
  if (!running || !/^\d+$/.test(running.version)) {
    throw new RollError("TEMPLATE_UNKNOWN", `the launch template of instance ${member.id} cannot be told`, {
      node: node.id,
      instanceId: member.id,
      reason: running ? `its version reads ${running.version}` : "it was not launched from a launch template",
      next: `aws autoscaling describe-auto-scaling-instances --instance-ids ${member.id}`,
    });
  }
  if (running.id !== target.id) return "other template";
  if (Number(running.version) !== target.version) return "other version";
  const hash = instances.get(member.id)?.tags[CONFIG_HASH_TAG];
  if (node.configHash !== undefined && hash !== node.configHash) return "other configuration";
  return forced ? "forced" : undefined;
}

/**
 * The group's template reference as an id and a version to resolve; an omitted version is `$Default`.
 * @throws RollError TEMPLATE_UNKNOWN for a launch configuration or a mixed instances policy.
 */
export function templateReference(node: ManifestNode, group: Group): { readonly id: string; readonly version: string } {
  if (!group.template) {
    throw new RollError("TEMPLATE_UNKNOWN", `group ${group.name} does not launch from a launch template of its own`, {
      node: node.id,
      reason: "it uses a launch configuration or a mixed instances policy",
      next: "give the group a launch template with a numbered version",
    });
  }
  return { id: group.template.id, version: group.template.version ?? "$Default" };
}
