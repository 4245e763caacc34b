/** The fleet's databases, all in one private server: the control plane's own, a shop that sells, and a copy of the shop. */
import { Client } from "pg";
import { databaseUrl } from "../../control-plane/store/private-cluster";

export const NAMES = { controlPlane: "holdfast", source: "shop", sink: "shop_copy" } as const;

/** Who reads the shop, and who writes the copy: with no more rights than their half of the job needs. */
export const USERS = { source: "shop_reader", sink: "copy_writer" } as const;

export type Side = keyof typeof USERS;

/** Rows the shop begins with: enough to see the first copy, few enough to be done in a second. */
const FIRST_ORDERS = 1_000;

/** Creates what is missing; what an earlier start left stays. */
export async function createDatabases(serverUrl: string): Promise<void> {
  await within(serverUrl, async (server) => {
    for (const user of Object.values(USERS)) {
      if (!(await exists(server, "pg_roles where rolname = $1", user))) await server.query(`create role ${user} login`);
    }
    await server.query(`alter role ${USERS.source} replication`);
    for (const [side, name] of Object.entries(NAMES)) {
      if (await exists(server, "pg_database where datname = $1", name)) continue;
      const owner = USERS[side as Side];
      await server.query(`create database ${name}${owner === undefined ? "" : ` owner ${owner}`}`);
    }
  });
  await within(databaseUrl(serverUrl, NAMES.source), openShop);
}

async function openShop(shop: Client): Promise<void> {
  await shop.query(`grant execute on function pg_control_system() to ${USERS.source}`);
  if (await exists(shop, "pg_tables where schemaname = 'public' and tablename = $1", "orders")) return;
  await shop.query("begin");
  await shop.query(
    `create table orders (
       id bigint generated always as identity primary key,
       customer text not null,
       cents integer not null,
       state text not null default 'placed',
       placed_at timestamptz not null default clock_timestamp()
     )`,
  );
  await shop.query(`alter table orders owner to ${USERS.source}`);
  await shop.query(
    "insert into orders (customer, cents) select 'customer ' || n % 97, n * 7 from generate_series(1, $1) n",
    [FIRST_ORDERS],
  );
  await shop.query("commit");
}

/** @param password holds no quote. */
export async function setPassword(serverUrl: string, user: string, password: string): Promise<void> {
  await within(serverUrl, (server) => server.query(`alter role ${user} password '${password}'`));
}

async function exists(client: Client, from: string, value: string): Promise<boolean> {
  return (await client.query(`select 1 from ${from}`, [value])).rows.length > 0;
}

async function within<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
