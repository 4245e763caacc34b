import { Story } from "../../../scripts/rehearse/story/story";
import { commandWrite, keepWriting } from "../../../scripts/rehearse/writer";

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
  await keepWriting(write, 1, story, ended.signal);
  expect(story.happenings).toEqual([
    { kind: "gap", atMs: 1_900, gapMs: 898, text: "no write was acknowledged for 898 ms" },
  ]);
});

test("a program's write is acknowledged where it ends with 0, and one that is not there never is", async () => {
  const { signal } = new AbortController();
  const write = (...command: string[]) => commandWrite({ command, everyMs: 1 }, signal)();
  expect(await write(process.execPath, "-e", "0")).toBe(true);
  expect(await write(process.execPath, "-e", "process.exit(3)")).toBe(false);
  expect(await write("/nowhere/program")).toBe(false);
});
