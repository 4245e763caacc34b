import { openDatabase } from "../../../control-plane/store/database";
import { type Destination, SeverableProxy } from "../../../scripts/chaos/severable-proxy";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { TestFleet } from "./fleet";

const PATIENCE = { connectMs: 1_000, answerMs: 2_000 };

let postgres: TestPostgres;
let proxy: SeverableProxy;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterEach(() => proxy.close());
afterAll(() => postgres.stop(), 60_000);

it("control-plane 22: writes go on after a database that has vanished without a word; those on their way are answered", async () => {
  const url = new URL((await postgres.freshDatabase()).url);
  const database: Destination = { name: "database", port: Number(url.port) };
  proxy = await SeverableProxy.listen([database]);
  url.port = `${proxy.port}`;
  const pool = openDatabase(url.href, 4, PATIENCE);
  const fleet = await TestFleet.create(pool);
  await fleet.job("before");

  const heal = proxy.cut(database);
  const creations = ["one", "two", "three"].map(async (name) => {
    await new Promise(setImmediate);
    return await fleet.job(name).catch((error: Error) => error.message);
  });
  const said = await Promise.all(creations);
  heal();

  for (const message of said) expect(message).toMatch(/Query read timeout|Connection terminated|timeout exceeded/);
  await fleet.job("after");
  const { rows } = await pool.query("select 1 from jobs where name in ('before', 'after')");
  expect(rows).toHaveLength(2);
  await pool.end();
}, 120_000);
