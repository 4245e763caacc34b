import { Pool, type PoolClient, type QueryResultRow, types } from "pg";

/** What queries run on: the pool, or one connection inside a transaction. */
export interface Queryable {
  query<Row extends QueryResultRow>(
    statement: string | Prepared,
    values?: readonly unknown[],
  ): Promise<{ rows: Row[]; rowCount: number | null }>;
}

/** A statement that each connection parses and plans once, for those that run many times a second. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

/** PostgreSQL's int8: fences, sequence numbers and counts all stay below 2^53. */
const INT8 = 20;

/**
 * Opens a pool. Statements that hang are ended by the server, and so are transactions that were left open, since a single one of
 * them keeps vacuum from every table.
 */
export function openDatabase(url: string, connections = 10): Pool {
  const pool = new Pool({
    connectionString: url,
    max: connections,
    application_name: "holdfast",
    statement_timeout: 15_000,
    idle_in_transaction_session_timeout: 10_000,
    types: {
      getTypeParser: ((oid: number, format: "text") =>
        oid === INT8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  });
  // A connection that breaks while idle is replaced by the pool; without a listener it would end the process.
  pool.on("error", () => undefined);
  return pool;
}

/** Runs work in one transaction: committed when it returns, rolled back when it throws. */
export async function transaction<T>(pool: Pool, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const client: PoolClient = await pool.connect();
  let broken: Error | undefined;
  // A connection that breaks says so to its query, and here: without a listener it would end the process.
  const breaks = (error: Error): void => {
    broken = error;
  };
  client.on("error", breaks);
  try {
    await client.query("begin");
    const result = await work(client as Queryable);
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch((failure: Error) => {
      broken = failure;
    });
    throw error;
  } finally {
    client.off("error", breaks);
    client.release(broken);
  }
}
