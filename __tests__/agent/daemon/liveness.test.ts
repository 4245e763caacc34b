import type { Client } from "pg";
import { cutWhenDead } from "../../../agent/daemon/liveness";

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** A statement that is answered after `answeredAfterMs`, of a server that says `answer` of its session. */
function statement(answer: () => Promise<"there" | "gone">, answeredAfterMs?: number) {
  const client = {
    query: () =>
      new Promise<void>((resolve) => {
        if (answeredAfterMs !== undefined) setTimeout(resolve, answeredAfterMs);
      }),
  } as unknown as Client;
  const ask = jest.fn(answer);
  const cut = jest.fn();
  cutWhenDead(client, { ask, cut });
  void client.query("select pg_sleep(1000)");
  return { ask, cut };
}

test("a server that answers neither the statement nor another connection for a minute is cut off", async () => {
  const { cut } = statement(() => new Promise(() => {}));
  await jest.advanceTimersByTimeAsync(59_000);
  expect(cut).not.toHaveBeenCalled();
  await jest.advanceTimersByTimeAsync(2_000);
  expect(cut.mock.calls).toEqual([["answers neither a statement nor a new connection"]]);
});

test("a server that does not know the session any more is cut off after half a minute", async () => {
  const { cut } = statement(async () => "gone");
  await jest.advanceTimersByTimeAsync(29_000);
  expect(cut).not.toHaveBeenCalled();
  await jest.advanceTimersByTimeAsync(1_000);
  expect(cut).toHaveBeenCalledTimes(1);
});

test("a statement that takes an hour is left to it", async () => {
  const { ask, cut } = statement(async () => "there", 3_600_000);
  await jest.advanceTimersByTimeAsync(3_600_000);
  const asked = ask.mock.calls.length;
  expect(asked).toBeGreaterThan(100);
  await jest.advanceTimersByTimeAsync(3_600_000);
  expect(ask).toHaveBeenCalledTimes(asked);
  expect(cut).not.toHaveBeenCalled();
});

test("one question without an answer cuts nobody off", async () => {
  let asked = 0;
  const { cut } = statement(async () => {
    asked += 1;
    if (asked % 2 === 1) throw new Error("timeout expired");
    return "there";
  });
  await jest.advanceTimersByTimeAsync(3_600_000);
  expect(asked).toBeGreaterThan(100);
  expect(cut).not.toHaveBeenCalled();
});
