import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type Pool } from "pg";
import { openDatabase } from "../../control-plane/store/database";
import { migrate } from "../../control-plane/store/migrate";
import { type PrivateCluster, startPrivateCluster } from "../../control-plane/store/private-cluster";

export interface TestPostgres {
  readonly cluster: PrivateCluster;
  /** An empty database of its own; with the control plane's schema unless told otherwise. */
  freshDatabase(options?: { readonly migrated?: boolean }): Promise<{ readonly pool: Pool; readonly url: string }>;
  stop(): Promise<void>;
}

/** A PostgreSQL server for one test file. Without fsync, unless durability is what is tested. */
export async function startTestPostgres(settings: Readonly<Record<string, string>> = {}): Promise<TestPostgres> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-postgres-"));
  chmodSync(directory, 0o755);
  const cluster = await startPrivateCluster({
    directory: join(directory, "cluster"),
    settings: { fsync: "off", max_connections: "60", ...settings },
  });
  const admin = openDatabase(cluster.url, 1);
  const pools: Pool[] = [];
  let databases = 0;
  return {
    cluster,
    freshDatabase: async ({ migrated = true } = {}) => {
      databases += 1;
      const name = `test_${databases}`;
      await admin.query(`create database ${name}`);
      const url = cluster.url.replace(/\/postgres$/, `/${name}`);
      const pool = openDatabase(url);
      pools.push(pool);
      if (migrated) await migrate(pool);
      return { pool, url };
    },
    stop: async () => {
      await Promise.all([...pools, admin].map((pool) => (pool.ended ? undefined : pool.end())));
      await cluster.stop();
      rmSync(directory, { recursive: true });
    },
  };
}

/** A connection beside those of a pool, on which a statement may take as long as it wants. */
export async function connectPatiently({ options }: Pool): Promise<Client> {
  const client = new Client({ ...options, query_timeout: 0, statement_timeout: 0 });
  await client.connect();
  return client;
}
