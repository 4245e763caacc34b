import { join } from "node:path";
import { Pool } from "pg";
import { type PrivateCluster, startPrivateCluster } from "../../control-plane/store/private-cluster";
import { SERVERS, type ServerName, tableName } from "./schedule";

/** Silent partners are given up soon, so that a cut is felt by whoever waits for the other end. */
const SETTINGS: Readonly<Record<string, string>> = {
  // Processes die here, the machine does not: what was written reaches the next one without it.
  fsync: "off",
  wal_level: "logical",
  max_wal_senders: "100",
  max_replication_slots: "100",
  max_connections: "300",
  wal_sender_timeout: "10s",
  restart_after_crash: "on",
};

export interface DatabaseServer {
  readonly cluster: PrivateCluster;
  readonly port: number;
  /** Straight to the server, past every proxy. */
  readonly pool: Pool;
}

export type DatabaseServers = Readonly<Record<ServerName, DatabaseServer>>;

/** One PostgreSQL server for the control plane, one that jobs read, one that they write. */
export async function startDatabases(directory: string, jobs: number): Promise<DatabaseServers> {
  const started = await Promise.all(SERVERS.map((name) => startServer(join(directory, name))));
  const [store, source, sink] = started;
  if (!store || !source || !sink) throw new Error("three servers were asked for");
  for (let job = 0; job < jobs; job++) await createTable(source.pool, tableName(job));
  return { store, source, sink };
}

async function startServer(directory: string): Promise<DatabaseServer> {
  const cluster = await startPrivateCluster({ directory, settings: SETTINGS });
  const pool = new Pool({ connectionString: cluster.url, max: 8, application_name: "chaos" });
  // A connection that was closed under a query fails that query; an idle one is replaced.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return { cluster, port: Number(new URL(cluster.url).port), pool };
}

export async function stopDatabases(servers: DatabaseServers): Promise<void> {
  await Promise.all(
    Object.values(servers).map(async ({ pool, cluster }) => {
      await pool.end();
      await cluster.stop();
    }),
  );
}

/** Types whose text is easily changed on the way, a value stored out of line, and a key that changes. */
export async function createTable(source: Pool, table: string): Promise<void> {
  await source.query(
    `create table ${table} (
       id integer primary key,
       note text,
       amount numeric(20, 6),
       ratio double precision,
       at timestamptz not null default clock_timestamp(),
       large text
     )`,
  );
  await source.query(
    `insert into ${table} (id, note, amount, ratio) select n, 'first', n * 1.000001, 1.0 / n from generate_series(1, 200) n`,
  );
}
