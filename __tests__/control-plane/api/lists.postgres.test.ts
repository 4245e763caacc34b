import { randomUUID } from "node:crypto";
import { send } from "./clients";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

/** Jobs at rest, straight into the table. */
async function jobs(count: number): Promise<void> {
  const [{ id }] = (await plane.operator.get("/datasources")).body;
  await plane.pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool)
     select $1, 'job-' || lpad(n::text, 5, '0'), $2, $2, '{t}', false, 'default' from generate_series(1, $3::int) n`,
    [plane.operator.deploymentId, id, count],
  );
}

const namesOf = async (query: string): Promise<string[]> =>
  (await plane.operator.get(`/jobs${query}`)).body.map(({ name }: { name: string }) => name);

it("control-plane 30: a list comes in parts of 500, or of as many as are wanted up to 1,000, after the last of the part before", async () => {
  await jobs(1_201);

  const first = await namesOf("");
  expect([first.length, first.at(-1)]).toEqual([500, "job-00500"]);
  const second = await namesOf(`?limit=1000&after=${first.at(-1)}`);
  expect([second.length, second[0], second.at(-1)]).toEqual([701, "job-00501", "job-01201"]);
  expect(await namesOf(`?after=${second.at(-1)}`)).toEqual([]);
});

/** The lists of a control plane, as its OpenAPI document tells of them, and what each may be asked for. */
async function lists(): Promise<{ readonly path: string; readonly asked: readonly string[] }[]> {
  const { body } = await send(plane.url, "/openapi.json", "", undefined, "GET");
  return Object.entries<Methods>(body.paths).flatMap(([path, { get }]) =>
    get?.responses[200].content["application/json"]?.schema.type === "array"
      ? [{ path, asked: (get.parameters ?? []).flatMap((one) => (one.in === "query" ? [one.name] : [])) }]
      : [],
  );
}

interface Methods {
  readonly get?: {
    readonly parameters?: readonly { readonly in: string; readonly name: string }[];
    readonly responses: { readonly 200: { readonly content: Record<string, { readonly schema: { type?: string } }> } };
  };
}

it("refuses a part that cannot be, of every list", async () => {
  const upgrade = { program: "agent", version: "2", url: "https://releases.internal/a", signature: "c2ln" };
  const { body } = await plane.operator.post("/upgrades", { ...upgrade, sha256: "0".repeat(64) });
  const ids: Readonly<Record<string, string>> = { deploymentId: plane.operator.deploymentId, upgradeId: body.id };
  for (const [query, where] of [
    ["?limit=0", "limit"],
    ["?limit=1001", "limit"],
    ["?limit=many", "limit"],
    [`?after=${"a".repeat(300)}`, "after"],
  ]) {
    for (const { path } of await lists()) {
      const address = `${path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? "")}${query}`;
      const { status, body } = await send(plane.url, address, plane.operator.token, undefined, "GET");
      expect([address, status, body.error?.message.split(":")[0]]).toEqual([address, 400, where]);
    }
  }
  expect((await plane.operator.get("/jobs?after=%00")).status).toBe(400);
});

it("the OpenAPI document says of every list how it is read in parts", async () => {
  const all = await lists();
  expect(all.length).toBeGreaterThanOrEqual(10);
  for (const { path, asked } of all) expect([path, asked]).toEqual([path, ["after", "limit"]]);
});

it("tokens come the oldest first, and upgrades the newest, in parts after the id of the last of the part before", async () => {
  const { deploymentId } = plane.operator;
  for (let issued = 0; issued < 3; issued++) await plane.operator.post("/tokens", { kind: "operator" });
  await plane.pool.query(
    `insert into upgrades (deployment_id, pool, program, version, url, sha256, signature, downgrade, wave_size, soak, deadline, state, created_at)
     select $1, 'default', 'agent', n::text, '', '', '', false, 1, '0', '0', 'done', now() + n * interval '1 minute' from generate_series(1, 600) n`,
    [deploymentId],
  );
  const upgrades = (await plane.operator.get("/upgrades")).body;
  expect([upgrades.length, upgrades[0].version]).toEqual([500, "600"]);
  const older = (await plane.operator.get(`/upgrades?limit=1000&after=${upgrades.at(-1).id}`)).body;
  expect(older.map(({ version }: { version: string }) => version)).toEqual(
    Array.from({ length: 100 }, (_, index) => `${100 - index}`),
  );

  const tokens = (await plane.operator.get("/tokens")).body;
  const parts = [
    ...(await plane.operator.get("/tokens?limit=2")).body,
    ...(await plane.operator.get(`/tokens?limit=2&after=${tokens[1].id}`)).body,
  ];
  expect(parts).toEqual(tokens.slice(0, 4));
  const times = tokens.map(({ createdAt }: { createdAt: string }) => createdAt);
  expect(times).toEqual([...times].sort());
});

it("takes a change whose address has a query, also where the address ends with an id", async () => {
  const [{ id }] = (await plane.operator.get("/datasources")).body;

  expect(await plane.operator.post(`/datasources/${id}?by=a-proxy`, { user: "cdc_2" })).toMatchObject({ status: 200 });

  expect((await plane.operator.get(`/datasources?by=a-proxy`)).body).toMatchObject([{ id, user: "cdc_2" }]);
});

it("refuses to go on after an entry that is not there, rather than say that the list is at its end", async () => {
  const foreign = (await plane.operator.get("/tokens")).body[0].id;
  for (const list of ["tokens", "upgrades"]) {
    for (const after of [randomUUID(), ...(list === "upgrades" ? [foreign] : [])]) {
      const { status, body } = await plane.operator.get(`/${list}?after=${after}`);
      expect([list, status, body.error?.message]).toEqual([
        list,
        400,
        expect.stringContaining("after: the list has no"),
      ]);
    }
  }
});

it("the audit log comes in parts after the number of the last entry of the part before", async () => {
  const all = (await plane.operator.get("/audit")).body;
  const parts = [
    ...(await plane.operator.get("/audit?limit=2")).body,
    ...(await plane.operator.get(`/audit?limit=1000&after=${all[1].seq}`)).body,
  ];
  expect(all.length).toBeGreaterThan(2);
  expect(parts).toEqual(all);
});
