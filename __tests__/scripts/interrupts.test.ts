import { scripts } from "../../package.json";
import { Interrupts } from "../../scripts/interrupts";
import { contentsOf } from "../support/scratch";

/** What has been asked for after interrupts at these times, in ms. */
function heardAt(...timesMs: number[]): { first: boolean; second: boolean } {
  let nowMs = 0;
  const interrupts = new Interrupts(() => nowMs);
  for (nowMs of timesMs) interrupts.hear();
  return { first: interrupts.first.aborted, second: interrupts.second.aborted };
}

test("nothing ends what nobody interrupts, and one interrupt ends it in order", () => {
  expect(heardAt()).toEqual({ first: false, second: false });
  expect(heardAt(5_000)).toEqual({ first: true, second: false });
});

test("what the terminal, npm and tsx make of one Ctrl-C does not end at once what is being ended in order", () => {
  expect(heardAt(5_000, 5_000, 5_003, 5_031, 5_999)).toEqual({ first: true, second: false });
});

test("an interrupt a second after the first ends it at once, whatever came between", () => {
  expect(heardAt(5_000, 6_000)).toEqual({ first: true, second: true });
  expect(heardAt(5_000, 5_300, 5_600, 5_900, 6_200)).toEqual({ first: true, second: true });
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s asks to end in order: the last comes when a terminal is closed",
  (signal) => {
    const listened = jest.spyOn(process, "on").mockReturnThis();
    const interrupts = new Interrupts().listen();
    const listeners = listened.mock.calls.filter(([event]) => event === signal).map(([, listener]) => listener);
    listened.mockRestore();
    expect(interrupts.first.aborted).toBe(false);

    for (const listener of listeners) listener(signal);

    expect(interrupts.first.aborted).toBe(true);
  },
);

test("no command of package.json stands behind tsx's own process, which kills what takes its time to end", () => {
  expect(Object.values(scripts).filter((command) => /(?<!node --import )\btsx /.test(command))).toEqual([]);
});

test("no script and no test starts one behind it either", () => {
  const programs = ["scripts", "__tests__", "control-plane"].flatMap((room) =>
    Object.entries(contentsOf(room, /node_modules/)).map(([name, text]) => ({ path: `${room}/${name}`, text })),
  );

  const behind = programs.filter(({ text }) => /\.bin["', /]+tsx|tsx\/cli|usage: +tsx/.test(text));

  expect(behind.map(({ path }) => path)).toEqual([]);
});
