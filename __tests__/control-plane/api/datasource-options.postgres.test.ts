import { randomUUID } from "node:crypto";
import { lockWaits } from "../../support/lock-waits";
import type { Reply } from "./clients";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

const shown = async () => (await plane.operator.get("/datasources")).body[0];

async function change(change: object): Promise<Reply> {
  const { id } = await shown();
  return await plane.operator.post(`/datasources/${id}`, change);
}

it("sets and removes the options that are named, and leaves the others as they are", async () => {
  await change({ options: { a: "1", b: "2", c: "3" } });

  const changed = await change({
    setOptions: { b: "two", d: "4", "": "" },
    removeOptions: ["a", "unknown"],
    user: "other",
  });
  expect(changed).toEqual({ status: 200, body: { version: 1 } });
  const after = { user: "other", options: { b: "two", c: "3", d: "4", "": "" } };
  expect(await shown()).toMatchObject(after);

  // As when the answer was lost.
  await change({ setOptions: { b: "two" }, removeOptions: ["a"] });
  expect((await shown()).options).toEqual(after.options);
  await change({ options: {} });
  expect((await shown()).options).toEqual({});
});

it("loses neither of two changes that are made at once", async () => {
  const { id } = await shown();
  const third = await plane.pool.connect();
  const both: Promise<Reply>[] = [];
  try {
    await third.query("begin");
    await third.query("select 1 from datasources where id = $1 for update", [id]);
    both.push(change({ setOptions: { a: "1" } }), change({ setOptions: { b: "2" } }));
    await lockWaits(plane.pool, 2);
  } finally {
    third.release(true);
  }

  expect((await Promise.all(both)).map(({ status }) => status)).toEqual([200, 200]);
  expect((await shown()).options).toEqual({ a: "1", b: "2" });
});

it("names the options in the audit log, and never their values", async () => {
  const secret = randomUUID();
  await change({ setOptions: { token: secret }, removeOptions: ["old"], url: "postgres://other:5432/shop" });

  const log: { action: string; detail: object }[] = (await plane.operator.get("/audit")).body;
  expect(log.filter(({ action }) => action === "datasource.change")).toMatchObject([
    { detail: { changed: ["options", "url"], setOptions: ["token"], removeOptions: ["old"], version: 1 } },
  ]);
  expect(JSON.stringify(log)).not.toContain(secret);
});

it.each([
  [
    { options: {}, setOptions: { a: "1" } },
    "name either options, which are all that there are, or setOptions and removeOptions",
  ],
  [
    { options: {}, removeOptions: ["a"] },
    "name either options, which are all that there are, or setOptions and removeOptions",
  ],
  [{ setOptions: { a: "1", b: "2" }, removeOptions: ["b"] }, "option b is to be set and removed"],
  [{}, "name what to change: url, user, password, options, setOptions or removeOptions"],
])("refuses %j", async (refused, why) => {
  const { status, body } = await change(refused);

  expect([status, body.error.code, body.error.message]).toEqual([400, "invalid_message", `the body: ${why}`]);
});
