import { createDatasource } from "../../../control-plane/store/catalog";
import { parseKeyring } from "../../../control-plane/store/seal";
import { KEYRING } from "../store/fleet";
import { send, startCopy } from "./clients";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

const LOST = parseKeyring(`k0:${"00".repeat(32)}`);
const NEXT = parseKeyring(`k2:${"22".repeat(32)},k1:${"11".repeat(32)}`);

/** Datasources beside the operator's own, in the order of their names, of which those in the middle were sealed with a key that is gone. */
async function someSealedWithALostKey(): Promise<void> {
  const rest = { engine: "postgres", url: "postgres://db", user: "u", password: "canary", options: {} };
  for (const [name, keyring] of [
    ["a", KEYRING],
    ["b", LOST],
    ["c", LOST],
    ["d", KEYRING],
  ] as const) {
    await createDatasource(plane.pool, keyring, plane.operator.deploymentId, { name, ...rest }, "test");
  }
}

it("wraps every password that it can open, and names those that it cannot, until they are given anew", async () => {
  await someSealedWithALostKey();
  const { controlPlane } = await startCopy(plane.databaseUrl, undefined, { keyring: NEXT });
  const rotate = async () => await send(controlPlane.url, "/api/v1/keys/rotate", plane.operator.token);
  const wrapped = async (key: string) =>
    (
      await plane.pool.query(
        "select name from datasources where split_part(sealed_password, '.', 2) = $1 order by name",
        [key],
      )
    ).rows.map(({ name }) => name);
  try {
    const { status, body } = await rotate();

    expect([status, body.error.code]).toEqual([409, "conflict"]);
    expect(body.error.message).toMatch(/^no key may leave HOLDFAST_KEYRING yet/);
    for (const name of ["b", "c"]) {
      expect(body.error.message).toContain(`${name} (the secret was sealed with key k0, which the keyring lacks)`);
    }
    expect(await wrapped("k2")).toEqual(["a", "d", "orders-db"]);
    const [entry] = (
      await send(controlPlane.url, "/api/v1/audit?limit=1000", plane.operator.token, undefined, "GET")
    ).body.slice(-1);
    expect(entry).toMatchObject({ action: "keys.rotate", detail: { wrapped: 3, complete: false } });

    for (const { id } of (await plane.pool.query("select id from datasources where name in ('b', 'c')")).rows) {
      const change = `${plane.operator.base}/datasources/${id}`;
      expect(await send(controlPlane.url, change, plane.operator.token, { password: "canary" })).toMatchObject({
        status: 200,
      });
    }
    expect(await rotate()).toEqual({ status: 200, body: { key: "k2", wrapped: 0 } });
  } finally {
    await controlPlane.stop();
  }
});

it("says at its start how many passwords it has no key for, and nothing where it has all", async () => {
  await someSealedWithALostKey();
  const { controlPlane, logs } = await startCopy(plane.databaseUrl);
  await controlPlane.stop();
  const about = (lines: readonly string[]) => lines.filter((line) => line.includes("HOLDFAST_KEYRING"));

  expect(about(plane.copies[0]?.logs ?? [])).toEqual([]);
  expect(about(logs).map((line) => JSON.parse(line))).toMatchObject([{ level: 40, passwords: { k0: 2 } }]);
});
