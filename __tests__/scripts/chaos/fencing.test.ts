import { checkFencing } from "../../../scripts/chaos/check/fencing";
import type { HistoryEntry } from "../../../scripts/chaos/check/history";

const claimed = (fence: number, holder: string): HistoryEntry => ({
  slot: "s",
  fence: BigInt(fence),
  holder,
  event: "claimed",
});
const wrote = (fence: number, holder: string, lsn: string): HistoryEntry => ({
  slot: "s",
  fence: BigInt(fence),
  holder,
  event: "wrote",
  lsn,
});
const refused = (fence: number, holder: string): HistoryEntry => ({
  slot: "s",
  fence: BigInt(fence),
  holder,
  event: "refused",
});

test("a job that moves, and a daemon that connects again, break nothing", () => {
  const history = [
    claimed(1, "a"),
    wrote(1, "a", "0/10"),
    claimed(1, "b"),
    wrote(1, "b", "0/20"),
    claimed(2, "c"),
    wrote(2, "c", "1/0"),
  ];
  expect(checkFencing(history, [])).toEqual({ violations: [], claims: 3, writes: 3, refusedAwakened: 0 });
});

test.each<[string, HistoryEntry[], RegExp]>([
  ["a smaller fence claims", [claimed(2, "a"), claimed(1, "b")], /claimed with fence 1 after fence 2/],
  [
    "a smaller fence writes after a larger one",
    [claimed(1, "a"), claimed(2, "b"), wrote(2, "b", "0/9"), wrote(1, "a", "0/10")],
    /fence 1 \(a\) wrote while fence 2 \(b\)/,
  ],
  [
    "two holders of one fence write in turn",
    [claimed(1, "a"), wrote(1, "a", "0/1"), claimed(1, "b"), wrote(1, "a", "0/2")],
    /fence 1 \(a\) wrote while fence 1 \(b\)/,
  ],
  [
    "an older daemon was alive when the next had begun",
    [claimed(1, "a"), claimed(2, "b"), refused(1, "a")],
    /fence 1 was alive after fence 2 had begun/,
  ],
  ["two daemons were given one fence", [claimed(3, "a"), claimed(3, "b"), refused(3, "a")], /two daemons had fence 3/],
  ["a position goes back", [claimed(1, "a"), wrote(1, "a", "1/0"), wrote(1, "a", "0/FF")], /back to 0\/FF/],
  ["somebody writes who never claimed", [wrote(1, "a", "0/1")], /before anybody had claimed/],
])("found: %s", (_, history, violation) => {
  const { violations } = checkFencing(history, []);
  expect(violations).toEqual([expect.stringMatching(violation)]);
});

test("a daemon that woke with its frozen machine may be refused, by a larger fence alone", () => {
  const frozen = [{ slot: "s", fence: 1n }];
  const woke = [claimed(1, "a"), claimed(2, "b"), refused(1, "a")];
  expect(checkFencing(woke, frozen)).toMatchObject({ violations: [], refusedAwakened: 1 });
  expect(checkFencing(woke, [{ slot: "other", fence: 1n }]).violations).toHaveLength(1);
  expect(checkFencing([claimed(1, "a"), claimed(1, "b"), refused(1, "a")], frozen).violations).toHaveLength(1);
});
