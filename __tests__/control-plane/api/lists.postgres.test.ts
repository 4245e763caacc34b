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

it("refuses a part that cannot be", async () => {
  for (const [query, where] of [
    ["?limit=0", "limit"],
    ["?limit=1001", "limit"],
    ["?limit=many", "limit"],
    [`?after=${"a".repeat(300)}`, "after"],
  ]) {
    for (const list of ["/jobs", "/workers", "/datasources"]) {
      const { status, body } = await plane.operator.get(`${list}${query}`);
      expect([query, status, body.error.message.split(":")[0]]).toEqual([query, 400, where]);
    }
  }
  expect((await plane.operator.get("/jobs?after=%00")).status).toBe(400);
});

it("the OpenAPI document says how lists are read in parts", async () => {
  const document = await send(plane.url, "/openapi.json", "", undefined, "GET");
  for (const list of ["", "/{deploymentId}/jobs", "/{deploymentId}/workers", "/{deploymentId}/datasources"]) {
    const { parameters } = document.body.paths[`/api/v1/deployments${list}`].get;
    const names = parameters
      .filter(({ in: where }: { in: string }) => where === "query")
      .map(({ name }: { name: string }) => name);
    expect([list, names]).toEqual([list, ["after", "limit"]]);
  }
});
