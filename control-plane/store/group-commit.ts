import { isDisconnected } from "./database";

/** Does a group of items in one transaction and gives a result for each, in their order. */
export type Perform<Item, Result> = (items: readonly Item[]) => Promise<readonly Result[]>;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** When what has just arrived, or was just answered, has had its turn. */
const soon = (): Promise<void> => new Promise(setImmediate);

/** Of rows; few enough for a transaction that takes some tens of milliseconds. */
const MOST = 500;
/** Groups under way at once: while one is committed the next is worked on. */
const LANES = 2;

/**
 * Lets what comes while groups are under way share the next one, so that many callers pay for one commit and a single caller waits for
 * nobody. A group that fails is done again one by one: whoever is at fault fails alone. One that was lost with its connection is done
 * again as it was, once: an item may therefore be done twice, as it may when a worker repeats its message.
 * @param weightOf how many rows an item may write
 */
export function inGroups<Item, Result>(
  perform: Perform<Item, Result>,
  weightOf: (item: Item) => number,
): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = [];
  let lanes = 0;

  const settle = async (group: readonly Waiting<Item, Result>[], isAgain = false): Promise<void> => {
    try {
      const results = await perform(group.map(({ item }) => item));
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as Result);
    } catch (error) {
      const isLost = isDisconnected(error);
      if (isLost && !isAgain) await settle(group, true);
      else if (isLost || group.length === 1) for (const { reject } of group) reject(error);
      else for (const one of group) await settle([one]);
    }
  };
  const work = async (): Promise<void> => {
    lanes += 1;
    for (await soon(); waiting.length > 0; await soon()) {
      const group = waiting.splice(0, countWithin(MOST, waiting, weightOf));
      await settle(group);
    }
    lanes -= 1;
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (lanes < LANES) void work();
    });
}

/** How many of the first together weigh no more than `most`; at least one. */
function countWithin<Item>(
  most: number,
  waiting: readonly { readonly item: Item }[],
  weightOf: (item: Item) => number,
): number {
  let weight = 0;
  const beyond = waiting.findIndex(({ item }) => {
    weight += weightOf(item);
    return weight > most;
  });
  return beyond < 0 ? waiting.length : Math.max(1, beyond);
}
