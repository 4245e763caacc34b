import type { NodeState } from "../../../scripts/rehearse/story/happening";
import type { Rehearsed } from "../../../scripts/rehearse/story/report";
import { Story } from "../../../scripts/rehearse/story/story";

export const REHEARSED: Rehearsed = {
  deployment: "orders & co",
  machines: "none",
  remarks: ["Nodes have addresses in 10.183.0.0/16."],
  startedAt: "2026-05-01T12:00:00.000Z",
  interrupted: false,
  failure: undefined,
};

/** Two nodes boot; 01 is lost and comes back; both are rolled, and the check of that fails. Time is told, not taken. */
export function toldStory(): { readonly story: Story; readonly endMs: number } {
  let nowMs = 0;
  const story = new Story(() => nowMs);
  const at = (ms: number) => {
    nowMs = ms;
    return story;
  };
  const node = (ms: number, id: string, state: NodeState, instance?: string) =>
    at(ms).tell({ kind: "node", node: id, state, text: "", ...(instance === undefined ? {} : { instance }) });
  const service = (ms: number, id: string, serving: number) =>
    at(ms).tell({ kind: "service", group: `orders-node-${id}`, wanted: 1, serving, text: "" });
  const began = (ms: number, chapter: number, title: string, of?: string) =>
    at(ms).tell({ kind: "began", chapter, title, text: title, ...(of === undefined ? {} : { node: of }) });
  const ended = (ms: number, chapter: number, ok: boolean, text: string) =>
    at(ms).tell({ kind: "ended", chapter, checks: [{ ok, text }], text });

  began(0, 0, "plan");
  ended(4_000, 0, true, "12 resources to add");
  began(4_000, 1, "apply");
  ended(9_000, 1, true, "applied");
  began(9_000, 2, "boot");
  for (const id of ["00", "01"]) {
    service(10_000, id, 0);
    node(10_000, id, "booting", `i-${id}a`);
  }
  for (const id of ["00", "01"]) {
    node(12_000, id, "in service", `i-${id}a`);
    service(12_000, id, 1);
  }
  ended(12_000, 2, true, "2 of 2 nodes are in service");
  began(15_000, 3, "lose 01", "01");
  node(15_000, "01", "down");
  service(15_000, "01", 0);
  node(16_000, "01", "booting", "i-01b");
  at(17_000).tell({ kind: "gap", gapMs: 1_200, text: "" });
  node(19_000, "01", "in service", "i-01b");
  service(19_000, "01", 1);
  ended(19_000, 3, true, "01 is back with its address and its volumes");
  began(20_000, 4, "roll");
  for (const [index, id] of ["00", "01"].entries()) {
    const from = 20_000 + index * 3_000;
    at(from).tell({ kind: "rolling", node: id, phase: "draining", over: false, text: "" });
    node(from, id, "leaving", `i-${id}b`);
    service(from, id, 0);
    at(from + 500).tell({ kind: "rolling", node: id, phase: "launching", over: false, text: "" });
    node(from + 1_000, id, "booting", `i-${id}c`);
    if (index === 1) node(from + 1_500, "00", "unwell", "i-00c");
    if (index === 1) service(from + 1_500, "00", 0);
    node(from + 2_500, id, "in service", `i-${id}c`);
    service(from + 2_500, id, 1);
    at(from + 2_600).tell({ kind: "rolling", node: id, phase: "done", over: true, text: "" });
  }
  ended(26_000, 4, false, "2 nodes were down at once | never more than 1");
  return { story, endMs: 27_000 };
}
