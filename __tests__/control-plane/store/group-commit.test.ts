import { setImmediate as turn } from "node:timers/promises";
import { inGroups } from "../../../control-plane/store/group-commit";

/** Doubles numbers, one group at a time, when it is told to. */
function doubling(weightOf = (_: number) => 1) {
  const groups: number[][] = [];
  const release: (() => void)[] = [];
  const submit = inGroups<number, number>(async (items) => {
    groups.push([...items]);
    await new Promise<void>((resolve) => release.push(resolve));
    if (items.includes(-1)) throw new Error("minus one");
    return items.map((item) => item * 2);
  }, weightOf);
  /** Lets the group that began first end, and those that can begin. */
  const step = async (): Promise<void> => {
    release.shift()?.();
    for (let turns = 0; turns < 4; turns++) await turn();
  };
  return { groups, submit, step };
}

describe("writes in groups", () => {
  it("what comes at once shares a group; two groups are under way, and what comes meanwhile shares the next", async () => {
    const { groups, submit, step } = doubling();

    const results = [1, 2].map(submit);
    await step();
    results.push(submit(3));
    await step();
    expect(groups.slice(0, 2)).toEqual([[1, 2], [3]]);
    expect(await Promise.all(results.slice(0, 2))).toEqual([2, 4]);

    const [fourth, fifth] = [submit(4), submit(5)];
    await step();
    await step();
    expect(groups).toEqual([[1, 2], [3], [4, 5]]);
    expect(await Promise.all([...results, fourth, fifth])).toEqual([2, 4, 6, 8, 10]);
  });

  it("no more than two groups are under way", async () => {
    const { groups, submit, step } = doubling();

    const results: Promise<number>[] = [];
    for (let item = 0; item < 5; item++) {
      results.push(submit(item));
      for (let turns = 0; turns < 4; turns++) await turn();
    }
    expect(groups).toEqual([[0], [1]]);
    await step();
    expect(groups).toEqual([[0], [1], [2, 3, 4]]);
    await step();
    await step();
    expect(await Promise.all(results)).toEqual([0, 2, 4, 6, 8]);
  });

  it("one that cannot be done fails alone: the others of its group are done one by one", async () => {
    const { groups, submit, step } = doubling();

    const results = [2, -1, 3].map((item) => submit(item).catch(String));
    for (let round = 0; round < 5; round++) await step();

    expect(groups).toEqual([[2, -1, 3], [2], [-1], [3]]);
    expect(await Promise.all(results)).toEqual([4, "Error: minus one", 6]);
  });

  it("what was lost with the connection is done again together, once", async () => {
    const lost = Object.assign(new Error("reset"), { code: "ECONNRESET" });
    const groups: number[][] = [];
    const submit = inGroups<number, number>(
      async (items) => {
        groups.push([...items]);
        if (groups.length === 1 || items.includes(3)) throw lost;
        return items;
      },
      () => 1,
    );

    expect(await Promise.all([1, 2].map(submit))).toEqual([1, 2]);
    expect(await Promise.allSettled([3, 4].map(submit))).toEqual(
      [3, 4].map(() => ({ status: "rejected", reason: lost })),
    );

    expect(groups).toEqual([
      [1, 2],
      [1, 2],
      [3, 4],
      [3, 4],
    ]);
  });

  it("no group weighs more than five hundred rows", async () => {
    const { groups, submit, step } = doubling();

    const results = Array.from({ length: 1_251 }, (_, item) => submit(item));
    for (let round = 0; round < 5; round++) await step();

    expect(groups.map(({ length }) => length)).toEqual([500, 500, 251]);
    expect(await Promise.all(results)).toEqual(Array.from({ length: 1_251 }, (_, item) => item * 2));
  });

  it("an item that is heavier than a group may be is done nevertheless, by itself", async () => {
    const { groups, submit, step } = doubling((item) => item);

    const results = [501, 300, 200, 1].map(submit);
    for (let round = 0; round < 5; round++) await step();

    expect(groups).toEqual([[501], [300, 200], [1]]);
    expect(await Promise.all(results)).toEqual([1_002, 600, 400, 2]);
  });
});
