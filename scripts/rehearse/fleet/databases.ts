import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Pool } from "pg";
import { type PrivateCluster, startPrivateCluster } from "../../../control-plane/store/private-cluster";

const SETTINGS: Readonly<Record<string, string>> = {
  // It ends with the rehearsal: what was written reaches the next process without it.
  fsync: "off",
  wal_level: "logical",
  max_wal_senders: "40",
  max_replication_slots: "40",
  max_connections: "200",
  // What a lost machine had connected is silent from then on.
  wal_sender_timeout: "10s",
};

const NAMES = ["store", "source", "sink"] as const;

/** A database, reached on the loopback interface. */
export interface Database {
  readonly url: string;
  readonly pool: Pool;
}

/** One PostgreSQL server with a database for the control plane, one that jobs read, and one that they write. */
export type Databases = Readonly<Record<(typeof NAMES)[number], Database>> & { stop(): Promise<void> };

/**
 * @param directory in which the server's own is made; who it runs as must get there
 * @param adopt told of the server's process
 * @throws Error where PostgreSQL is not there, or does not come up
 */
export async function startDatabases(directory: string, adopt: (pid: number) => Promise<void>): Promise<Databases> {
  const own = join(directory, "postgres");
  const cluster = await startPrivateCluster({ directory: own, settings: SETTINGS });
  const pools: Pool[] = [];
  const stop = async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    await cluster.stop();
  };
  try {
    await adopt(Number(readFileSync(join(own, "data", "postmaster.pid"), "utf8").split("\n")[0]));
    const admin = open(cluster.url, pools);
    for (const name of NAMES) await admin.query(`create database ${name}`);
    const [store, source, sink] = NAMES.map((name) => database(cluster, name, pools));
    if (!store || !source || !sink) throw new Error("three databases were asked for");
    return { store, source, sink, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function database(cluster: PrivateCluster, name: string, pools: Pool[]): Database {
  const url = new URL(cluster.url);
  url.pathname = `/${name}`;
  return { url: url.href, pool: open(url.href, pools) };
}

function open(connectionString: string, pools: Pool[]): Pool {
  const pool = new Pool({ connectionString, max: 8, application_name: "rehearsal" });
  // A connection that breaks while idle is replaced by the pool; without a listener it would end the process.
  pool.on("error", () => undefined);
  pools.push(pool);
  return pool;
}
