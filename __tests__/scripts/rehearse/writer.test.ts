import { Story } from "../../../scripts/rehearse/story/story";
import { commandWrite, keepWriting, readBack } from "../../../scripts/rehearse/writer";

test("a time without an acknowledged write is told once there is one again, and a usual one is not", async () => {
  let nowMs = 0;
  const story = new Story(() => nowMs);
  const ended = new AbortController();
  const turns: (readonly [atMs: number, ok: boolean])[] = [
    [100, false],
    [1_000, true],
    [1_002, true],
    [1_003, false],
    [1_900, true],
    [1_902, true],
  ];
  const write = async () => {
    const [atMs = 0, ok = false] = turns.shift() ?? [];
    nowMs = atMs;
    if (turns.length === 0) ended.abort();
    return ok;
  };
  expect(await keepWriting(write, 1, story, ended.signal)).toEqual([2, 3, 5, 6]);
  expect(story.happenings).toEqual([
    { kind: "gap", atMs: 1_900, gapMs: 898, text: "no write was acknowledged for 898 ms" },
  ]);
});

test("a program's write is acknowledged where it ends with 0, and one that is not there never is", async () => {
  const { signal } = new AbortController();
  const write = (...command: string[]) => commandWrite({ command, everyMs: 1, read: undefined }, signal)(7);
  expect(await write(process.execPath, "-e", "0")).toBe(true);
  expect(await write(process.execPath, "-e", "process.exit(3)")).toBe(false);
  expect(await write("/nowhere/program")).toBe(false);
  expect(await write(process.execPath, "-e", "process.exit(process.env.HOLDFAST_WRITE === '7' ? 0 : 1)")).toBe(true);
});

test("what was acknowledged is read back by its numbers: more may be there, nothing may be missing", async () => {
  const { signal } = new AbortController();
  const prints = (text: string) => [process.execPath, "-e", `process.stdout.write(${JSON.stringify(text)})`];
  const back = (text: string, acknowledged: readonly number[]) => readBack(prints(text), acknowledged, signal);

  expect(await back("1\n2\n 3 \n11\n", [1, 3, 11])).toEqual({ ok: true, text: "all 3 acknowledged writes are there" });
  expect(await back("1\n33\n", [1, 3, 11])).toEqual({
    ok: false,
    text: "2 of 3 acknowledged writes are lost: 3, 11",
  });
  expect(await back("1\n", [])).toEqual({ ok: false, text: "no write was acknowledged" });
  const fails = [process.execPath, "-e", "console.error('no such key'); process.exit(4)"];
  expect(await readBack(fails, [1], signal)).toEqual({
    ok: false,
    text: expect.stringMatching(/ended with 4: no such key$/),
  });
});
