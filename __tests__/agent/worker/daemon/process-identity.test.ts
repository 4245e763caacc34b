import { mayLive, startOf, watchOf } from "../../../../agent/worker/daemon/process-identity";
import { unreadable } from "../../../support/unreadable";

const { pid } = process;
const STAT = `/proc/${pid}/stat`;
/** Linux gives out no number above 2^22. */
const NOBODY = 2 ** 22 + 1;

afterEach(() => jest.restoreAllMocks());

test("a process that lives is the one that it was, and a number that nobody has is nobody's", () => {
  const start = startOf(pid);

  expect([mayLive({ pid, start }), mayLive({ pid, start: "1" }), mayLive({ pid, start: undefined })]).toEqual([
    true,
    false,
    false,
  ]);
  expect([startOf(NOBODY), watchOf(NOBODY)()]).toEqual([undefined, false]);
});

describe("R30: what the system says of a process", () => {
  test.each(["ENOENT", "ESRCH"])("%s is its end", (code) => {
    const start = startOf(pid);
    const isAlive = watchOf(pid);
    unreadable(STAT, code);

    expect([startOf(pid), mayLive({ pid, start }), isAlive()]).toEqual([undefined, false, false]);
  });

  test.each(["EMFILE", "ENFILE", "EACCES", "EIO", "ENOMEM"])("%s is not its end, nor anything else of it", (code) => {
    const start = startOf(pid);
    const isAlive = watchOf(pid);
    unreadable(STAT, code);

    expect(() => startOf(pid)).toThrow(`whether process ${pid} lives cannot be told: ${code}`);
    expect([mayLive({ pid, start }), isAlive()]).toEqual([true, true]);
  });

  test("a process of which the system told nothing at first is known by what it tells later", () => {
    let isSilent = true;
    unreadable(STAT, "EMFILE", () => isSilent);
    const isAlive = watchOf(pid);
    isSilent = false;
    expect(isAlive()).toBe(true);
    jest.restoreAllMocks();

    unreadable(STAT, "ENOENT");
    expect(isAlive()).toBe(false);
  });
});
