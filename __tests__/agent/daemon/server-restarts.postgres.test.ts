import { inLongForm } from "../../support/long-form";
import { eventually } from "./eventually";
import { usePair } from "./pair";
import { useServer } from "./server";

const pair = usePair();
const server = useServer();
const COPY = { DO_SNAPSHOT: "true" };

const TABLE = "create table item (id int primary key); insert into item values (1)";

test.each(["fast", "immediate"] as const)(
  "a source that ends (%s) and comes again loses nothing and repeats nothing",
  async (how) => {
    await server.query(TABLE);
    await pair.sink.query(`
    create table item (id int primary key);
    create table inserted (id int);
    create function record() returns trigger language plpgsql as
      $$ begin insert into public.inserted values (new.id); return new; end $$;
    create trigger record before insert on item for each row execute function record();
  `);
    const daemon = await pair.start({ ...COPY, SOURCE_URL: server.url });
    for (let round = 2; round < 5; round++) {
      await server.query(`insert into item values (${round})`);
      await server.end(how);
      await server.start();
      await server.query(`insert into item values (${round} * 100)`);
      await eventually(`round ${round}\n${daemon.lines.join("\n")}`, async () =>
        expect((await pair.sink.query("select from item")).rowCount).toBe(1 + 2 * (round - 1)),
      );
    }
    expect(daemon.process.exitCode).toBeNull();
    const { rows } = await pair.sink.query("select id from inserted order by id");
    expect(rows.map(({ id }) => id)).toEqual([1, 2, 3, 4, 200, 300, 400]);
  },
);

test.each(["fast", "immediate"] as const)("a sink that ends (%s) and comes again loses nothing", async (how) => {
  await pair.source.query(TABLE);
  const daemon = await pair.start({ ...COPY, SINK_URL: server.url, SINK_DATABASE: "" });
  for (let round = 2; round < 5; round++) {
    await pair.source.query(`insert into item values (${round})`);
    await server.end(how);
    await pair.source.query(`insert into item values (${round} * 100)`);
    await server.start();
    await eventually(`round ${round}\n${daemon.lines.join("\n")}`, async () =>
      expect(await server.query("select from item")).toHaveLength(1 + 2 * (round - 1)),
    );
  }
  expect(daemon.process.exitCode).toBeNull();
});

test("a sink that commits without waiting for its disk, and crashes, has what the source was told it has", async () => {
  await server.query("alter role current_user set synchronous_commit = off");
  await server.query("alter system set wal_writer_delay = '10s'");
  await server.end();
  await server.start();
  await pair.source.query(TABLE);
  const daemon = await pair.start({ ...COPY, SINK_URL: server.url, SINK_DATABASE: "" });
  await pair.source.query("insert into item values (2)");
  await eventually("the row is in the sink", async () =>
    expect(await server.query("select from item")).toHaveLength(2),
  );

  await server.end("immediate");
  await server.start();

  await pair.source.query("insert into item values (3)");
  await eventually(`all rows are in the sink\n${daemon.lines.join("\n")}`, async () =>
    expect(await server.query("select from item")).toHaveLength(3),
  );
});

test("a source ends in order while the daemon is paused, and what it has is read when both go on", async () => {
  await server.query(TABLE);
  const daemon = await pair.start({ ...COPY, SOURCE_URL: server.url });
  await daemon.post("/cdc/pause");
  await server.query("insert into item values (2)");
  let ended = false;
  const end = server.end("fast").then(() => (ended = true));
  await eventually("the source has ended", async () => expect(ended).toBe(true), 20_000).catch(async (error) => {
    await server.end("immediate");
    throw error;
  });
  await end;
  await server.start();
  expect((await daemon.get("/cdc/status")).json["state"]).toBe("paused");
  await daemon.post("/cdc/resume");
  await eventually(`the row is in the sink\n${daemon.lines.join("\n")}`, async () =>
    expect((await pair.sink.query("select from item")).rowCount).toBe(2),
  );
});

inLongForm(() => {
  test.each(["source", "sink"] as const)(
    "a %s that stands still is noticed within two minutes, and the job goes on with it",
    async (side) => {
      const sourceQuery = (text: string) => (side === "source" ? server.query(text) : pair.source.query(text));
      const sunk = async () =>
        side === "sink" ? await server.query("select from item") : (await pair.sink.query("select from item")).rows;
      await sourceQuery(TABLE);
      const url = { [side === "source" ? "SOURCE_URL" : "SINK_URL"]: server.url, SINK_DATABASE: "" };
      const daemon = await pair.start({ ...COPY, ...url });
      server.freeze();
      if (side === "sink") await sourceQuery("insert into item values (2)");

      const noticed = async () => expect(daemon.lines.join("\n")).toContain("connecting again");
      await eventually("it is noticed", noticed, 120_000);
      server.thaw();
      if (side === "source") await sourceQuery("insert into item values (2)");
      await eventually("the row is in the sink", async () => expect(await sunk()).toHaveLength(2));
    },
    240_000,
  );
});
