import { execFileSync } from "node:child_process";
import { eventually } from "./eventually";
import { usePair } from "./pair";
import { useServer } from "./server";

const pair = usePair();
const server = useServer();
const COPY = { DO_SNAPSHOT: "true" };

/** The server as it is, on disk. */
async function save(): Promise<void> {
  await server.end();
  execFileSync("cp", ["-a", server.data, `${server.data}.saved`]);
  await server.start();
}

async function restore(): Promise<void> {
  await server.end();
  execFileSync("rm", ["-r", server.data]);
  execFileSync("mv", [`${server.data}.saved`, server.data]);
  await server.start();
}

const sunk = async () => (await pair.sink.query("select id from item order by id")).rows.map(({ id }) => id);

test("a source that was restored to before the sink's position and has written beyond it since is a hole", async () => {
  await server.query("create table item (id int primary key); insert into item values (1)");
  const environment = { ...COPY, SOURCE_URL: server.url };
  const first = await pair.start(environment);
  first.process.kill("SIGTERM");
  await first.ended;
  await save();
  const second = await pair.start(environment);
  await server.query("insert into item select generate_series(2, 10)");
  await eventually("the rows are in the sink", async () => expect(await sunk()).toHaveLength(10));
  second.process.kill("SIGTERM");
  await second.ended;

  await restore();
  await server.query("create table other as select generate_series(1, 10000)");
  await server.query("insert into item values (11)");
  const third = pair.launch(environment);

  await eventually(`the end of the daemon\n${third.lines.join("\n")}`, async () =>
    expect(third.process.exitCode).toBe(78),
  );
  expect(third.lines.join("\n")).toContain("the source's log is another one");
});

test.each([
  ["a transaction", "insert into item values (2)", [1, 2]],
  ["no transaction yet", "select", [1]],
])(
  "what a restored source has written below the position of a sink that has %s, none of which was lost, is not passed over",
  async (_, statement, before) => {
    await server.query("create table item (id int primary key); insert into item values (1)");
    const environment = { ...COPY, SOURCE_URL: server.url };
    const first = await pair.start(environment);
    await server.query(statement);
    await eventually("the rows are in the sink", async () => expect(await sunk()).toEqual(before));
    first.process.kill("SIGTERM");
    await first.ended;
    await save();
    // GIVEN a position that has moved on without a row
    await server.query("create table other as select generate_series(1, 1000)");
    const second = await pair.start(environment);
    await second.post("/cdc/drain");
    expect(await second.ended).toBe(0);

    await restore();
    await server.query("insert into item values (3)");
    await server.query("create table other as select generate_series(1, 10000)");
    await pair.start(environment);

    await eventually("the row is in the sink", async () => expect(await sunk()).toEqual([...before, 3]));
  },
);
