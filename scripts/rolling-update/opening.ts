import type { Actions } from "./actions";
import { clearControl } from "./control";
import { forgetReplacement, type RollRecord, readJournal, writeReplacement, writeRoll } from "./journal";
import type { Manifest } from "./manifest";
import { type Survey, survey } from "./plan";
import { refuse } from "./preflight";
import { isOver, isSame, type Replacement } from "./replacement";
import type { RollOptions, RollPorts } from "./roll-ports";
import type { Settings } from "./settings";

/** What a run starts from: the cluster as it is, the roll's record, and what earlier runs left of its nodes. */
export interface Opening {
  readonly survey: Survey;
  readonly record: RollRecord;
  readonly replacements: Map<string, Replacement>;
}

/**
 * Takes up the journal: a replacement in flight goes on when its target still stands, and is given up when it does not.
 * @throws RollError PREFLIGHT_REFUSED, and as {@link survey} does; nothing was changed then.
 */
export async function open(
  ports: RollPorts,
  manifest: Manifest,
  settings: Settings,
  options: RollOptions,
  direction: RollRecord["direction"],
  actions: Actions,
): Promise<Opening> {
  const { store, clock } = ports;
  const journal = await readJournal(store);
  const now = await survey(ports, manifest, settings, journal.replacements);
  refuse(now.refusals);
  const stands = ({ node, to }: Replacement) => {
    const target = now.targets.get(node);
    return target !== undefined && isSame(to, target);
  };
  const earlier = journal.roll;
  const goesOn = earlier !== undefined && earlier.state !== "done" && [...journal.replacements.values()].every(stands);
  const resumed = options.resume ? earlier : undefined;
  const only = options.only ?? resumed?.only;
  const going = resumed?.direction ?? direction;
  const former = going === "rollback" ? earlier?.former : undefined;
  const record: RollRecord = {
    id: goesOn ? earlier.id : new Date(clock.now()).toISOString(),
    startedMs: goesOn ? earlier.startedMs : clock.now(),
    direction: going,
    state: "running",
    settings,
    forced: goesOn ? [...new Set([...earlier.forced, ...settings.force])] : settings.force,
    ...(only === undefined ? {} : { only: [...only] }),
    ...(former === undefined ? {} : { former }),
    confirmedCanary: (goesOn && earlier.confirmedCanary) || options.confirmed === true,
  };
  await writeRoll(store, record);
  await clearControl(store);
  const replacements = new Map<string, Replacement>();
  for (const earlierReplacement of journal.replacements.values()) {
    const node = manifest.nodes.find(({ id }) => id === earlierReplacement.node);
    if (!node) continue;
    if (isOver(earlierReplacement) && !goesOn) {
      if (earlierReplacement.state === "done") await forgetReplacement(store, node.id);
      else replacements.set(node.id, earlierReplacement);
    } else if (!isOver(earlierReplacement) && !stands(earlierReplacement)) {
      if (earlierReplacement.held) await actions.release(node, earlierReplacement);
      const given: Replacement = { ...earlierReplacement, state: "failed", held: false, rollId: record.id };
      await writeReplacement(store, given);
      replacements.set(node.id, given);
    } else {
      replacements.set(node.id, { ...earlierReplacement, rollId: record.id });
    }
  }
  return { survey: now, record, replacements };
}
