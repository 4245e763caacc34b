import type { Pool } from "pg";
import { publicQuestion } from "../../../control-plane/api/public-question";
import { Telemetry } from "../../../control-plane/api/telemetry";

let nowMs = 0;
beforeEach(() => {
  jest.spyOn(performance, "now").mockImplementation(() => nowMs);
});
afterEach(() => jest.restoreAllMocks());

const MANY = Array.from({ length: 200 });
test("however many ask, the database is asked once a second", async () => {
  const ask = jest.fn(async () => "there");
  const question = publicQuestion(ask);
  expect(new Set(await Promise.all(MANY.map(question)))).toEqual(new Set(["there"]));
  nowMs += 999;
  await question();
  expect(ask).toHaveBeenCalledTimes(1);
  nowMs += 1;
  await question();
  expect(ask).toHaveBeenCalledTimes(2);
});

test("a database that fails is asked no more often than one that answers", async () => {
  const ask = jest.fn().mockRejectedValue(new Error("no connection"));
  const question = publicQuestion(ask);
  for (const _ of MANY) expect(await question()).toBeUndefined();
  expect(ask).toHaveBeenCalledTimes(1);
});

test("a database that is silent is waited for in vain for so long, and asked nothing more until it has answered", async () => {
  let answer: ((said: string) => void) | undefined;
  const ask = jest.fn(() => new Promise<string>((resolve) => (answer = resolve)));
  const question = publicQuestion(ask, 1);
  for (const _ of [1, 2, 3]) {
    expect(await question()).toBeUndefined();
    nowMs += 1_000;
  }
  expect(ask).toHaveBeenCalledTimes(1);

  answer?.("back");
  await new Promise(setImmediate);
  const next = question();
  answer?.("there");
  expect(await next).toBe("there");
  expect(ask).toHaveBeenCalledTimes(2);
});

describe("figures of the database", () => {
  const figures = async (query: () => Promise<unknown>) =>
    await new Telemetry({ query } as unknown as Pool, () => 7).registry.metrics();

  test("are told with those of the process, and that they were read", async () => {
    const told = await figures(async () => ({ rows: [{ name: "holdfast_jobs", label: "running", value: 3 }] }));
    expect(told).toContain('\nholdfast_jobs{state="running"} 3\n');
    expect(told).toContain("\nholdfast_database_up 1\n");
    expect(told).toContain("\nholdfast_parked_claims 7\n");
  });

  test("are left out where it fails", async () => {
    const told = await figures(async () => {
      throw new Error("no connection");
    });
    expect(told).not.toMatch(/^holdfast_(jobs|sessions|oldest_transaction_seconds)[{ ]/m);
    expect(told).toContain("\nholdfast_database_up 0\n");
    expect(told).toContain("\nholdfast_parked_claims 7\n");
  });

  test("are read with one statement for all who ask at once", async () => {
    const query = jest.fn(async () => ({ rows: [] }));
    const telemetry = new Telemetry({ query } as unknown as Pool, () => 0);
    await Promise.all(MANY.map(() => telemetry.registry.metrics()));
    expect(query).toHaveBeenCalledTimes(1);
  });

  test("that it does not have any more are not told either", async () => {
    const rows = [{ name: "holdfast_jobs", label: "running", value: 3 }];
    const { registry } = new Telemetry({ query: async () => ({ rows: [...rows] }) } as unknown as Pool, () => 0);
    expect(await registry.metrics()).toContain("running");
    rows.pop();
    nowMs += 1_000;
    expect(await registry.metrics()).not.toContain("running");
  });
});
