import type { Group, Hook, NetworkInterface, TemplateVersion, Volume } from "./cloud";
import type { Manifest, ManifestNode } from "./manifest";
import { RollError } from "./roll-error";
import { incoherences, type Settings } from "./settings";

/** A rule a cluster must keep for its nodes to be replaced without risk to address or data. */
export type PreflightRule =
  | "volume-survives"
  | "interface-survives"
  | "interface-of-node"
  | "terminate-before-launch"
  | "no-retained-instances"
  | "zone-not-subnet"
  | "one-zone"
  | "on-demand"
  | "one-instance"
  | "foreign-suspension"
  | "coherent-times";

export interface Refusal {
  readonly rule: PreflightRule;
  readonly node: string;
  readonly message: string;
}

/** Everything preflight looks at for one node. */
export interface NodeSetup {
  readonly node: ManifestNode;
  readonly group: Group;
  readonly target: TemplateVersion;
  readonly hooks: readonly Hook[];
  readonly networkInterface: NetworkInterface | undefined;
  readonly volumes: readonly Volume[];
  /** Launch is suspended by this roll, as its journal says. */
  readonly heldByUs: boolean;
}

/** The processes a replacement needs; others may be suspended by whom they may. */
const NEEDED_PROCESSES = ["Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy"];

/** All refusals, so that an operator repairs them in one go. */
export function preflight(setups: readonly NodeSetup[], settings: Settings): Refusal[] {
  return setups.flatMap((setup) =>
    [...configurationOf(setup, settings)].map(({ rule, message }) => ({ rule, message, node: setup.node.id })),
  );
}

function* configurationOf(
  { node, group, target, hooks, networkInterface, volumes, heldByUs }: NodeSetup,
  settings: Settings,
): Generator<{ rule: PreflightRule; message: string }> {
  for (const volume of volumes) {
    if (volume.deleteOnTermination) {
      yield {
        rule: "volume-survives",
        message: `volume ${volume.id} would be deleted with its instance (DeleteOnTermination)`,
      };
    }
    if (volume.zone !== node.zone) {
      yield { rule: "one-zone", message: `volume ${volume.id} is in ${volume.zone}, the node in ${node.zone}` };
    }
  }
  for (const id of node.volumeIds) {
    if (!volumes.some((volume) => volume.id === id)) {
      yield { rule: "volume-survives", message: `volume ${id} does not exist` };
    }
  }
  const launched = target.interfaces.find(({ id }) => id === node.interfaceId);
  if (!launched) {
    yield {
      rule: "interface-of-node",
      message: `template ${target.id} version ${target.version} does not use interface ${node.interfaceId}`,
    };
  }
  if (launched?.deleteOnTermination || networkInterface?.deleteOnTermination) {
    yield {
      rule: "interface-survives",
      message: `interface ${node.interfaceId} would be deleted with its instance (DeleteOnTermination)`,
    };
  }
  if (!networkInterface) {
    yield { rule: "interface-of-node", message: `interface ${node.interfaceId} does not exist` };
  } else if (networkInterface.zone !== node.zone) {
    yield {
      rule: "one-zone",
      message: `interface ${node.interfaceId} is in ${networkInterface.zone}, the node in ${node.zone}`,
    };
  }
  if (
    group.maintenance &&
    !(group.maintenance.minHealthyPercent === 0 && group.maintenance.maxHealthyPercent === 100)
  ) {
    const { minHealthyPercent, maxHealthyPercent } = group.maintenance;
    yield {
      rule: "terminate-before-launch",
      message: `the instance maintenance policy (${minHealthyPercent} %-${maxHealthyPercent} %) may launch first, which the node's one interface forbids; remove it or use 0 %-100 %`,
    };
  }
  if (group.retainsInstances) {
    yield {
      rule: "no-retained-instances",
      message: "an abandoned termination retains the instance, which would keep the interface",
    };
  }
  if (group.subnetIds.length > 0) {
    yield {
      rule: "zone-not-subnet",
      message: `the group names subnets (${group.subnetIds.join(", ")}); with an interface in the template it must name its zone`,
    };
  }
  if (group.zones.length !== 1 || group.zones[0] !== node.zone) {
    yield { rule: "one-zone", message: `the group launches in ${group.zones.join(", ")}, the node is in ${node.zone}` };
  }
  if (target.spot) yield { rule: "on-demand", message: `template ${target.id} buys spot instances` };
  const expectedSize = heldByUs ? 0 : 1;
  if (group.max !== 1 || group.desired < expectedSize || group.min > 1 || group.desired > 1) {
    yield {
      rule: "one-instance",
      message: `the group's sizes are ${group.min}/${group.desired}/${group.max} (min/desired/max) instead of 1/1/1`,
    };
  }
  const suspension = foreignSuspension(group, heldByUs);
  if (suspension !== undefined) yield { rule: "foreign-suspension", message: suspension };
  for (const message of incoherences(settings, hooks)) yield { rule: "coherent-times", message };
}

/**
 * What somebody else suspended of the processes a replacement needs, undefined when nothing: what the roll resumed of it would
 * not be its own.
 */
export function foreignSuspension({ suspended }: Group, heldByUs: boolean | undefined): string | undefined {
  const needed = suspended.filter((name) => NEEDED_PROCESSES.includes(name) && !(heldByUs && name === "Launch"));
  return needed.length === 0
    ? undefined
    : `somebody suspended ${needed.join(", ")} of the group; resume it, or find out why`;
}

/** @throws RollError PREFLIGHT_REFUSED listing every refusal. */
export function refuse(refusals: readonly Refusal[]): void {
  if (refusals.length === 0) return;
  const lines = refusals.map(({ node, rule, message }) => `  node ${node}: ${message} [${rule}]`);
  throw new RollError(
    "PREFLIGHT_REFUSED",
    `nothing was changed; the cluster cannot be rolled as it is:\n${lines.join("\n")}`,
  );
}

/**
 * The account, the region and every group are the deployment's own.
 * @throws RollError WRONG_ACCOUNT, WRONG_REGION, GROUP_MISSING or WRONG_CLUSTER.
 */
export function verifyTarget(
  manifest: Manifest,
  identity: { readonly accountId: string; readonly region: string },
  groups: ReadonlyMap<string, Group>,
): void {
  if (identity.accountId !== manifest.accountId) {
    throw new RollError(
      "WRONG_ACCOUNT",
      `credentials are for account ${identity.accountId}, the cluster ${manifest.cluster} is in ${manifest.accountId}`,
      {
        next: "choose the deployment's profile or role (AWS_PROFILE, --role-arn)",
      },
    );
  }
  if (identity.region !== manifest.region) {
    throw new RollError(
      "WRONG_REGION",
      `the client is bound to ${identity.region}, the cluster ${manifest.cluster} is in ${manifest.region}`,
    );
  }
  for (const node of manifest.nodes) {
    const group = groups.get(node.group);
    if (!group) {
      throw new RollError(
        "GROUP_MISSING",
        `group ${node.group} does not exist in ${manifest.accountId}/${manifest.region}`,
        { node: node.id },
      );
    }
    if (group.tags[manifest.tag.key] !== manifest.tag.value) {
      throw new RollError(
        "WRONG_CLUSTER",
        `group ${node.group} is tagged ${manifest.tag.key}=${group.tags[manifest.tag.key] ?? "(absent)"} instead of ${manifest.tag.value}`,
        { node: node.id },
      );
    }
  }
}
