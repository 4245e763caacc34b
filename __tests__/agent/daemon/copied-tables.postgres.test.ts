import { Client } from "pg";
import { eventually } from "./eventually";
import { type RunningDaemon, usePair } from "./pair";

const pair = usePair();

beforeEach(() =>
  pair.source.query(`
    create table item (id int primary key);
    create table added (id int primary key);
    insert into item values (1);
    insert into added values (1);
  `),
);

const BOTH = { TABLES: "item,added", DO_SNAPSHOT: "true" };

async function ended(daemon: RunningDaemon): Promise<void> {
  daemon.process.kill("SIGTERM");
  expect(await daemon.ended).toBe(0);
}

/** Runs the job with `item` alone, once. */
async function runWithoutAdded(): Promise<void> {
  await ended(await pair.start({ DO_SNAPSHOT: "true" }));
}

/** A transaction of its own on the source. */
async function opened(begin: string): Promise<Client> {
  const client = new Client({ connectionString: pair.environment["SOURCE_URL"] });
  await client.connect();
  await client.query(begin);
  return client;
}

async function waitsForTransactions(daemon: RunningDaemon): Promise<void> {
  await eventually("the daemon waits for transactions", async () =>
    expect(daemon.lines.join("\n")).toContain("the copy waits for transactions of the source"),
  );
}

test("a table that is added waits for the transactions that are open, and has their rows", async () => {
  await runWithoutAdded();
  // GIVEN a transaction that wrote to the table before the publication had it
  const open = await opened("begin; insert into added values (2)");
  const { rows } = await open.query("select pg_backend_pid() as pid");

  // WHEN the table is added, THEN nothing is copied, and the API answers
  const killed = pair.launch(BOTH);
  await waitsForTransactions(killed);
  expect(killed.lines.join("\n")).toContain(`"${rows[0].pid}"`);
  expect((await killed.get("/health")).json).toMatchObject({ status: "serving", stage: "snapshot" });
  killed.process.kill("SIGKILL");
  await killed.ended;
  // THEN the next process, which finds the publication as it shall be, waits as well
  const daemon = pair.launch(BOTH);
  await waitsForTransactions(daemon);
  expect(daemon.lines.join("\n")).not.toContain('"replicating"');
  expect(await pair.rows("sink", "added")).toEqual([]);

  // WHEN the transaction ends
  await open.query("insert into added values (3); commit");
  await pair.source.query("insert into added values (4)");
  await open.end();

  // THEN
  await daemon.reaches("cdc");
  await pair.equal("added");
});

test.each([
  ["SIGTERM", (daemon: RunningDaemon) => daemon.process.kill("SIGTERM")],
  ["a stop", (daemon: RunningDaemon) => daemon.post("/cdc/stop")],
  ["a drain", (daemon: RunningDaemon) => daemon.post("/cdc/drain")],
  [
    "a drain while it is paused",
    async (daemon: RunningDaemon) => {
      await daemon.post("/cdc/pause");
      await daemon.post("/cdc/drain");
    },
  ],
])("%s ends a copy that waits for transactions of the source", async (_, end) => {
  await runWithoutAdded();
  const open = await opened("begin; insert into added values (2)");
  const daemon = pair.launch(BOTH);
  await waitsForTransactions(daemon);

  await end(daemon);

  expect(await daemon.ended).toBe(0);
  await open.end();
});

test("a table that is added waits for no transaction that only reads", async () => {
  await runWithoutAdded();
  const open = await opened("begin isolation level repeatable read; select * from added");

  const daemon = await pair.start(BOTH);

  await pair.equal("added");
  expect(daemon.lines.join("\n")).not.toContain("waits for transactions");
  await open.end();
});

test("a table that is added waits for prepared transactions, and names them", async () => {
  await runWithoutAdded();
  await pair.source.query("begin; insert into added values (2); prepare transaction 'ready'");
  const daemon = pair.launch(BOTH);
  await waitsForTransactions(daemon);
  expect(daemon.lines.join("\n")).toContain('"ready"');

  await pair.source.query("commit prepared 'ready'");

  await daemon.reaches("cdc");
  await pair.equal("added");
});

test("a table that has another name for a while loses nothing of that time", async () => {
  await ended(await pair.start(BOTH));
  await pair.source.query("alter table item rename to away; insert into away values (2)");
  await pair.source.query("alter table away rename to item; insert into item values (3)");

  await pair.start(BOTH);

  await pair.equal("item");
});
