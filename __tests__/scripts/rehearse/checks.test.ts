import { othersStayed, outTogether } from "../../../scripts/rehearse/events/checks";
import type { NodeState } from "../../../scripts/rehearse/story/happening";
import { Story } from "../../../scripts/rehearse/story/story";

/** A story of what nodes were when, and the moment that it has come to. */
function storyOf(nowMs: number, ...states: readonly (readonly [atMs: number, node: string, state: NodeState])[]) {
  let clockMs = 0;
  const story = new Story(() => clockMs);
  for (const [atMs, node, state] of states) {
    clockMs = atMs;
    story.tell({ kind: "node", node, state, text: "" });
  }
  clockMs = nowMs;
  return { story };
}

test("members that are unwell while a leader is elected have not left service; how long is told", () => {
  const election = storyOf(9_000, [1_000, "00", "down"], [1_000, "01", "unwell"], [2_500, "01", "in service"]);
  expect(othersStayed(election, { fromMs: 500 }, ["00"])).toEqual({
    ok: true,
    text: "no other node left service; 01 was unwell for 1.5 s",
  });
  expect(outTogether(election, { fromMs: 500 }, 1)).toEqual({
    ok: true,
    text: "at most 1 node was out of service at once",
  });
});

test("a node that its group gives up has left service, unwell before or not", () => {
  const two = storyOf(9_000, [1_000, "00", "down"], [1_200, "01", "unwell"], [1_400, "01", "leaving"]);
  expect(othersStayed(two, { fromMs: 500 }, ["00"])).toEqual({ ok: false, text: "01 left service too" });
  expect(outTogether(two, { fromMs: 500 }, 1)).toEqual({
    ok: false,
    text: "at most 2 nodes were out of service at once; it should be 1",
  });
});

test("two that change places between two looks were not out together", () => {
  const places = storyOf(9_000, [1_000, "00", "down"], [2_000, "01", "down"], [2_000, "00", "in service"]);
  expect(outTogether(places, { fromMs: 500 }, 1).ok).toBe(true);
  // What was out before it began is out at its beginning.
  expect(outTogether(storyOf(9_000, [1, "00", "down"], [2, "01", "down"]), { fromMs: 5 }, 1).ok).toBe(false);
});
