import { shared } from "../../../control-plane/api/shared";

const PERIOD_MS = 500;

/** Answers that are given one by one, in the order in which they were begun, and a clock that stands until it is moved. */
function stage() {
  const begun: { readonly key: string; give(answer: string): void; fail(error: Error): void }[] = [];
  let nowMs = 0;
  const ask = shared(
    PERIOD_MS,
    (key: string) =>
      new Promise<string>((resolve, reject) => {
        begun.push({ key, give: resolve, fail: reject });
      }),
    () => nowMs,
  );
  return {
    ask,
    begun,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

test("control-plane 30: those who ask within the period share one answer, also once it is there, and nothing is done before anybody asks", async () => {
  const { ask, begun, pass } = stage();
  expect(begun).toHaveLength(0);

  const first = ask("all");
  pass(PERIOD_MS / 2);
  const second = ask("all");
  begun[0]?.give("then");
  pass(PERIOD_MS / 2 - 1);

  expect(await Promise.all([first, second, ask("all")])).toEqual(["then", "then", "then"]);
  expect(begun).toHaveLength(1);
});

test("control-plane 30: an answer that was begun a period ago is shown to nobody who asks now, whether it took long or not", async () => {
  const { ask, begun, pass } = stage();
  const slow = ask("all");
  pass(PERIOD_MS);
  const next = ask("all");
  begun[1]?.give("now");
  begun[0]?.give("then");

  expect(await Promise.all([slow, next, ask("all")])).toEqual(["then", "now", "now"]);
  pass(PERIOD_MS);
  void ask("all");
  expect(begun).toHaveLength(3);
});

test("who asks for something else shares nothing", async () => {
  const { ask, begun } = stage();
  const both = [ask("one"), ask("other")];
  for (const { key, give } of begun) give(`of ${key}`);

  expect(await Promise.all(both)).toEqual(["of one", "of other"]);
});

test("a failure is for those who share it, and who comes after it has the thing tried again", async () => {
  const { ask, begun } = stage();
  const both = [ask("all"), ask("all")];
  begun[0]?.fail(new Error("no connection"));
  expect(await Promise.allSettled(both)).toMatchObject([{ status: "rejected" }, { status: "rejected" }]);

  const again = ask("all");
  begun[1]?.give("now");
  expect(await again).toBe("now");
});

test("a failure that comes late takes nothing from those who share the next answer", async () => {
  const { ask, begun, pass } = stage();
  const slow = ask("all");
  pass(PERIOD_MS);
  const next = ask("all");
  begun[0]?.fail(new Error("too late"));
  await expect(slow).rejects.toThrow("too late");

  void ask("all");
  expect(begun).toHaveLength(2);
  begun[1]?.give("now");
  expect(await next).toBe("now");
});
