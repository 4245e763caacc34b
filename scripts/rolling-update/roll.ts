import type { Template } from "./cloud";
import { type RollRecord, readJournal, writeRoll } from "./journal";
import { fenced, kept, Lock } from "./lock";
import type { Manifest, ManifestNode } from "./manifest";
import { verifyTarget } from "./preflight";
import { isSame, type Replacement } from "./replacement";
import { patient, retrying } from "./retries";
import { asRollError, RollError } from "./roll-error";
import type { Outcome, RollOptions, RollPorts } from "./roll-ports";
import { Roller } from "./roller";
import type { Settings } from "./settings";
import { byKey } from "./world";

/**
 * Replaces every stale node, one after the other, and gives back whatever it took, however it ends.
 * @throws RollError when it could not begin: wrong target, refused by preflight, lock held.
 */
export function roll(ports: RollPorts, manifest: Manifest, settings: Settings, options: RollOptions): Promise<Outcome> {
  return owning(ports, manifest, options, async (own, lock) => {
    if (options.resume) {
      const { roll: record } = await readJournal(own.store);
      if (isUnfinishedRollback(record)) return backwards(own, lock, manifest, settings, options);
      if (record === undefined || record.state === "done") {
        throw new RollError("NOTHING_TO_RESUME", "the journal holds no unfinished roll", {
          next: "`holdfast roll plan` shows what is to do",
        });
      }
    }
    const outcome = await new Roller(own, lock, manifest, settings, options, "forward").run();
    const isUndone = settings.onFailure === "rollback" && outcome.error !== undefined && isOfNode(outcome.error);
    return isUndone ? backwards(own, lock, manifest, settings, options, outcome.error) : outcome;
  });
}

/**
 * Returns the nodes the last roll touched to what they were launched from before it, under the same gates.
 * @throws RollError IRREVERSIBLE when that roll was marked so, NOTHING_TO_RESUME when no node was touched.
 */
export function rollback(
  ports: RollPorts,
  manifest: Manifest,
  settings: Settings,
  options: RollOptions,
): Promise<Outcome> {
  return owning(ports, manifest, options, (own, lock) => backwards(own, lock, manifest, settings, options));
}

/** The replacements a rollback would undo: those that changed what their node was launched from. */
export function touchedNodes(replacements: ReadonlyMap<string, Replacement>): (Replacement & { from: Template })[] {
  return [...replacements.values()].flatMap((replacement) => {
    const { from, to } = replacement;
    return from === undefined || isSame(from, to) ? [] : [{ ...replacement, from }];
  });
}

/** A node failed, and so may the release. What closes the gate is neither, and would keep a rollback from going on too. */
function isOfNode({ code, node }: RollError): boolean {
  return node !== undefined && code !== "GATE_CLOSED" && code !== "ZONE_IMPAIRED";
}

function isUnfinishedRollback(record: RollRecord | undefined): boolean {
  return record?.direction === "rollback" && record.state !== "done";
}

function formerTemplates(replacements: ReadonlyMap<string, Replacement>): Record<string, Template> {
  return Object.fromEntries(touchedNodes(replacements).map(({ node, from }) => [node, from]));
}

/** Verifies the target, then works as the cluster's only roller. */
async function owning<T>(
  ports: RollPorts,
  manifest: Manifest,
  options: RollOptions,
  work: (own: RollPorts, lock: Lock) => Promise<T>,
): Promise<T> {
  try {
    const cloud = retrying(ports.cloud, ports.clock);
    const groups = await cloud.describeGroups(manifest.nodes.map(({ group }) => group));
    verifyTarget(
      manifest,
      await cloud.identity(),
      byKey(groups, ({ name }) => name),
    );
    const lock = await Lock.acquire(ports.store, ports.clock, options.owner);
    const { clock, store } = ports;
    try {
      const held = patient(lock, clock);
      const cloud = retrying(fenced(ports.cloud, lock), clock);
      const probe = kept(ports.probe, held, clock);
      return await work({ ...ports, cloud, probe, store: patient(store, clock) }, held);
    } finally {
      await lock.release().catch(() => {});
    }
  } catch (error) {
    throw asRollError(error);
  }
}

/** Points the touched groups back at the former template, then rolls like any other release. */
async function backwards(
  ports: RollPorts,
  lock: Lock,
  manifest: Manifest,
  settings: Settings,
  options: RollOptions,
  cause?: RollError,
): Promise<Outcome> {
  const { roll: record, replacements } = await readJournal(ports.store);
  if (record?.settings.irreversible || settings.irreversible) {
    throw new RollError("IRREVERSIBLE", "the release is marked irreversible; no node was rolled back", {
      ...(cause ? { reason: `${cause.code}: ${cause.message}` } : {}),
      next: "correct the release, apply it and roll forward",
    });
  }
  const former = (isUnfinishedRollback(record) ? record?.former : undefined) ?? formerTemplates(replacements);
  const only = Object.keys(former);
  if (only.length === 0) {
    if (cause) return { status: "failed", replaced: [], error: cause };
    throw new RollError("NOTHING_TO_RESUME", "the journal knows no node that a roll touched");
  }
  if (record) await writeRoll(ports.store, { ...record, direction: "rollback", state: "running", only, former });
  const nodes: ManifestNode[] = [];
  for (const node of manifest.nodes) {
    const template = former[node.id];
    if (template !== undefined) await ports.cloud.setTemplate(node.group, template);
    nodes.push(template === undefined ? node : { ...node, template });
  }
  const outcome = await new Roller(
    ports,
    lock,
    { ...manifest, nodes },
    settings,
    { ...options, only },
    "rollback",
  ).run();
  if (outcome.status !== "done") return outcome;
  return { ...outcome, status: "rolled back", ...(cause ? { error: cause } : {}) };
}
