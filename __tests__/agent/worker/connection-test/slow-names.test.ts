import promises from "node:dns/promises";
import { testConnection } from "../../../../agent/worker/connection-test/test-connection";
import { eventually } from "../../daemon/eventually";

afterEach(() => jest.restoreAllMocks());

/** A name service that answers when the test says so. */
function slowNames() {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  jest.spyOn(promises, "lookup").mockImplementation(((name: string) => {
    asked.push(name);
    return new Promise((_, reject) => answers.push(() => reject(new Error(`EAI_AGAIN ${name}`))));
  }) as unknown as typeof promises.lookup);
  return { asked, answer: () => answers.shift()?.() };
}

const tested = (host: string, timeoutMs: number) => {
  const connection = { engine: "postgres", url: `postgres://${host}/shop`, user: "cdc", password: "p", options: {} };
  return testConnection({ role: "source", connection, plainConnectionsOnly: false, timeoutMs });
};

test("R35: names are looked up one at a time, so that those which nobody answers for do not keep heartbeats from finding the control plane", async () => {
  const { asked, answer } = slowNames();

  const tests = ["one", "two", "three"].map((host) => tested(host, 30_000));
  await eventually("a name is looked up", async () => expect(asked.length).toBeGreaterThan(0));
  expect(asked).toEqual(["one"]);

  answer();
  await eventually("the next is", async () => expect(asked).toEqual(["one", "two"]));
  answer();
  await eventually("the last is", async () => expect(asked).toEqual(["one", "two", "three"]));
  answer();
  const details = (await Promise.all(tests)).map(({ steps }) => steps[0]?.detail);
  expect(details).toEqual(["EAI_AGAIN one", "EAI_AGAIN two", "EAI_AGAIN three"]);
});

test("R35: a test that is over by the time that its name's turn comes looks up none", async () => {
  const { asked, answer } = slowNames();
  const first = tested("one", 30_000);
  await eventually("a name is looked up", async () => expect(asked).toEqual(["one"]));

  const { steps } = await tested("two", 50);
  expect(steps[0]).toMatchObject({ step: "dns", result: "failed", detail: "dns did not finish within 0.05 s" });
  answer();
  await first;

  const last = tested("three", 30_000);
  await eventually("another is", async () => expect(asked).toEqual(["one", "three"]));
  answer();
  await last;
});
