import type { Chapters } from "../chapters";
import { CannotHappen, type Rehearsal } from "../rehearsal";
import { ANY_NODE, EVENT_FORMS, type RehearsalEvent } from "../scenario/event";
import type { WatchedNode } from "../watch";
import { ACTS } from "./acts";

/** One event from its beginning to its verdict. */
export async function eventChapter(rehearsal: Rehearsal, chapters: Chapters, event: RehearsalEvent): Promise<void> {
  const { story } = rehearsal;
  const node = event.node === undefined ? undefined : find(rehearsal.watch.nodes, event.node);
  const title = node === undefined ? event.text : event.text.replace(` ${event.node}`, ` ${node.name}`);
  await chapters.tell(
    title,
    async () => {
      if (EVENT_FORMS[event.name].takesNode && node === undefined) {
        const names = rehearsal.watch.nodes.map(({ name }) => name).join(", ");
        throw new CannotHappen(`there is no node ${event.node}; there are ${names}`);
      }
      const occasion = { event, node: node as WatchedNode, fromMs: story.elapsedMs };
      return { made: undefined, checks: await ACTS[event.name](rehearsal, occasion) };
    },
    node?.name,
  );
}

function find(nodes: readonly WatchedNode[], wanted: string): WatchedNode | undefined {
  return wanted === ANY_NODE ? nodes.at(-1) : nodes.find(({ name }) => name === wanted);
}
