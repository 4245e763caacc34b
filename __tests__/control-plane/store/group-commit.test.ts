import { inGroups } from "../../../control-plane/store/group-commit";

/** Doubles numbers, one group at a time, when it is told to. */
function doubling() {
  const groups: number[][] = [];
  const release: (() => void)[] = [];
  const submit = inGroups<number, number>(async (items) => {
    groups.push([...items]);
    await new Promise<void>((resolve) => release.push(resolve));
    if (items.includes(-1)) throw new Error("minus one");
    return items.map((item) => item * 2);
  });
  const step = async (): Promise<void> => {
    release.shift()?.();
    await new Promise(setImmediate);
  };
  return { groups, submit, step };
}

describe("writes in groups", () => {
  it("a single one waits for nobody, and what comes meanwhile shares the next group", async () => {
    const { groups, submit, step } = doubling();

    const results = [1, 2, 3].map(submit);
    expect(groups).toEqual([[1]]);
    await step();
    expect(groups).toEqual([[1], [2, 3]]);
    await step();

    expect(await Promise.all(results)).toEqual([2, 4, 6]);
    const later = submit(4);
    expect(groups).toHaveLength(3);
    await step();
    expect(await later).toBe(8);
  });

  it("one that cannot be done fails alone: the others of its group are done one by one", async () => {
    const { groups, submit, step } = doubling();

    const results = [1, 2, -1, 3].map((item) => submit(item).catch(String));
    for (let round = 0; round < 5; round++) await step();

    expect(groups).toEqual([[1], [2, -1, 3], [2], [-1], [3]]);
    expect(await Promise.all(results)).toEqual([2, 4, "Error: minus one", 6]);
  });

  it("no group holds more than a hundred", async () => {
    const { groups, submit, step } = doubling();

    const results = Array.from({ length: 251 }, (_, item) => submit(item));
    for (let round = 0; round < 4; round++) await step();

    expect(groups.map(({ length }) => length)).toEqual([1, 100, 100, 50]);
    expect(await Promise.all(results)).toEqual(Array.from({ length: 251 }, (_, item) => item * 2));
  });
});
