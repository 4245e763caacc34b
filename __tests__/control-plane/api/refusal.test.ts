import { Client } from "pg";
import { toRefusal } from "../../../control-plane/api/refusal";

test("a connection to the database that ended means try again, as node-postgres says it", async () => {
  // GIVEN a client that was ended: no code, a message alone
  const client = new Client({ host: "127.0.0.1", port: 1 });
  await client.connect().catch(() => undefined);
  const error = await client.query("select 1").catch((reason: Error) => reason);
  expect(error).not.toHaveProperty("code");
  // THEN the worker is told to come again, and not that the control plane has a defect
  expect(toRefusal(error)).toMatchObject({ status: 503, code: "unavailable" });
  for (const message of ["Connection terminated unexpectedly", "timeout exceeded when trying to connect"]) {
    expect(toRefusal(new Error(message))).toMatchObject({ status: 503, code: "unavailable" });
  }
});

test.each([
  ["53100", "the database has no room on its disk: try again"],
  ["53300", "the database has no connection left: try again"],
  ["25P04", "the database does not answer: try again"],
  ["25006", "the database takes no writes: try again"],
  ["40001", "the database does not answer: try again"],
])("what the database says with %s is told as: %s", (code, message) => {
  expect(toRefusal(Object.assign(new Error("what PostgreSQL says"), { code }))).toMatchObject({
    status: 503,
    code: "unavailable",
    message,
  });
});

test("any other error without a code stays a defect", () => {
  expect(toRefusal(new Error("jobs terminated"))).toBeUndefined();
});
