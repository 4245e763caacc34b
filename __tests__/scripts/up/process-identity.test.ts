import { startOf } from "../../../agent/worker/daemon/process-identity";
import { identify, isAlive } from "../../../scripts/up/process-identity";
import { unreadable } from "../../support/unreadable";

const { pid } = process;
const STAT = `/proc/${pid}/stat`;
/** Linux gives out no number above 2^22. */
const NOBODY = 2 ** 22 + 1;

afterEach(() => jest.restoreAllMocks());

test("a process that lives is known by what the agent knows it by, and a number that nobody has is nobody's", () => {
  const start = startOf(pid) ?? "";

  expect([identify(pid), identify(NOBODY)]).toEqual([{ pid, start }, undefined]);
  expect([isAlive({ pid, start }), isAlive({ pid, start: "1" }), isAlive({ pid: NOBODY, start })]).toEqual([
    true,
    false,
    false,
  ]);
});

describe("as for the agent, what the system says of a process:", () => {
  test.each(["ENOENT", "ESRCH"])("%s is its end", (code) => {
    const start = startOf(pid) ?? "";
    unreadable(STAT, code);

    expect([startOf(pid), identify(pid), isAlive({ pid, start })]).toEqual([undefined, undefined, false]);
  });

  test.each(["EMFILE", "ENFILE", "EACCES", "EIO", "ENOMEM"])("%s is not its end, nor anything else of it", (code) => {
    const start = startOf(pid) ?? "";
    unreadable(STAT, code);

    for (const ask of [() => startOf(pid), () => identify(pid), () => isAlive({ pid, start })])
      expect(ask).toThrow(`whether process ${pid} lives cannot be told: ${code}`);
  });
});
