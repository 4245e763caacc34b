import type { Chapters } from "../chapters";
import { replicatingChecks } from "../fleet/fleet-checks";
import { busiestOf } from "../fleet/moves";
import { CannotHappen, type Rehearsal } from "../rehearsal";
import { ANY_NODE, EVENT_FORMS, type RehearsalEvent } from "../scenario/event";
import type { WatchedNode } from "../watch";
import { ACTS } from "./acts";

/** One event from its beginning to its verdict. */
export async function eventChapter(rehearsal: Rehearsal, chapters: Chapters, event: RehearsalEvent): Promise<void> {
  const { story, fleet, deadlineMs } = rehearsal;
  const node = event.node === undefined ? undefined : find(rehearsal, event.node);
  const title = node === undefined ? event.text : event.text.replace(` ${event.node}`, ` ${node.name}`);
  await chapters.tell(
    title,
    async () => {
      if (EVENT_FORMS[event.name].takesNode && node === undefined) {
        const names = rehearsal.watch.nodes.map(({ name }) => name).join(", ");
        throw new CannotHappen(`there is no node ${event.node}; there are ${names}`);
      }
      const occasion = { event, node: node as WatchedNode, fromMs: story.elapsedMs };
      const checks = await ACTS[event.name](rehearsal, occasion);
      const replicating = fleet === undefined ? [] : await replicatingChecks(fleet, deadlineMs);
      return { made: undefined, checks: [...checks, ...replicating] };
    },
    node?.name,
  );
}

/** Any node is the worker with the most jobs, in which there is most to be seen; where none has any, the last one. */
function find({ watch, fleet }: Rehearsal, wanted: string): WatchedNode | undefined {
  if (wanted !== ANY_NODE) return watch.node(wanted);
  const busiest = fleet && busiestOf(fleet.jobs.jobs);
  return watch.nodes.find(({ instance }) => busiest !== undefined && instance === busiest) ?? watch.nodes.at(-1);
}
