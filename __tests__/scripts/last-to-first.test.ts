import { lastToFirst } from "../../scripts/last-to-first";

test("what was built up last is taken down first, and one after the other", async () => {
  const done: string[] = [];
  const step = (name: string) => async () => {
    done.push(`${name} begins`);
    await Promise.resolve();
    done.push(`${name} ends`);
  };
  await lastToFirst([step("server"), step("client")]);
  expect(done).toEqual(["client begins", "client ends", "server begins", "server ends"]);
});

test.each([
  ["rejects", async () => Promise.reject(new Error("the client hangs"))],
  [
    "throws",
    () => {
      throw new Error("the client hangs");
    },
  ],
])("a step that %s keeps none from being done, and the first failure is told in the end", async (_, fail) => {
  const done: string[] = [];
  const steps = [
    async () => done.push("directory"),
    async () => {
      done.push("server");
      throw new Error("the server was gone");
    },
    fail,
  ];
  await expect(lastToFirst(steps)).rejects.toThrow("the client hangs");
  expect(done).toEqual(["server", "directory"]);
});
