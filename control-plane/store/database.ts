import { Pool, type PoolClient, type QueryResultRow, types } from "pg";

/** What queries run on: the pool, or one connection inside a transaction. */
export interface Queryable {
  query<Row extends QueryResultRow>(
    statement: string | Prepared,
    values?: readonly unknown[],
  ): Promise<{ rows: Row[]; rowCount: number | null }>;
}

/** The connection of one transaction. */
export interface Transaction extends Queryable {
  /**
   * Sends a statement whose answer is for after the transaction, so that those after it, the commit included, travel with it. Where it
   * fails, so does the transaction.
   */
  send<Row extends QueryResultRow>(statement: Prepared, values: readonly unknown[]): Promise<readonly Row[]>;
}

/** A statement that each connection parses and plans once, for those that run many times a second. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

/** PostgreSQL's int8: fences, sequence numbers and counts all stay below 2^53. */
const INT8 = 20;

/** The server ends a statement that takes longer. */
const STATEMENT_MS = 15_000;

/** How long the database is waited for: for a connection, a free one of the pool or a new one, and for the answer to a statement. */
export interface Patience {
  readonly connectMs: number;
  readonly answerMs: number;
}

/** For a server that has vanished without a word; longer than one that is there takes to give up. */
const PATIENCE: Patience = { connectMs: 10_000, answerMs: STATEMENT_MS + 5_000 };

/**
 * What a database or a role may have set otherwise. Statements are planned once for a connection: what is asked often is written so that one
 * plan suits all values. What is asked for lies in memory, where a row found by an index costs hardly more than the next of its table.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  plan_cache_mode: "force_generic_plan",
  random_page_cost: "1.1",
  // Values that go back and are compared as text; another style tells a time zone by letters, which may be taken for another zone's.
  DateStyle: "ISO",
  TimeZone: "UTC",
  IntervalStyle: "postgres",
  bytea_output: "hex",
  // What waited for a lock sees what was committed meanwhile.
  default_transaction_isolation: "read committed",
  // What was acknowledged is kept: a claim that is lost with the server would be given to another worker.
  synchronous_commit: "on",
};

const OPTIONS = Object.entries(SETTINGS).map(([name, value]) => `-c ${name}=${value.replaceAll(" ", "\\ ")}`);

/** How a program of ours reaches a database, whatever the address says of its name; settings that the address brings are taken before ours. */
export function connectionTo(url: string, application: string) {
  const address = new URL(url);
  const theirs = address.searchParams.getAll("options");
  for (const own of ["options", "application_name"]) {
    if (address.searchParams.has(own)) address.searchParams.delete(own);
  }
  return { connectionString: address.href, application_name: application, options: [...theirs, ...OPTIONS].join(" ") };
}

/**
 * Opens a pool. Statements that hang are ended by the server, and so are transactions that were left open, since a single one of
 * them keeps vacuum from every table. A connection on which no answer comes is given up.
 */
export function openDatabase(url: string, connections = 10, { connectMs, answerMs } = PATIENCE): Pool {
  const pool = new Pool({
    ...connectionTo(url, "holdfast"),
    max: connections,
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    statement_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: 10_000,
    // Statements do not wait on this side for the answers to those before them.
    pipeline: true,
    types: {
      getTypeParser: ((oid: number, format: "text") =>
        oid === INT8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  });
  // A connection that breaks while idle is replaced by the pool; without a listener it would end the process.
  pool.on("error", () => undefined);
  return pool;
}

/** What node-postgres itself says, without a code, of a connection that ended, did not come about, or brings no answer. */
const CONNECTION_LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|Query read timeout)/;
/** Of the system, and SQLSTATE class 08 and 57P: connection exceptions, and shutdowns of the server. */
const LOST_CODE = /^(ECONN|EPIPE|ETIMEDOUT|08|57P)/;

/** Whether the database was not reached or ceased to be: what was asked may have been done, and is nobody's fault. */
export function isDisconnected(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === "string" ? LOST_CODE.test(code) : CONNECTION_LOST.test(String(message));
}

/** A database does not let anybody in, or is not there. */
export class DatabaseUnusable extends Error {}

/** An error of a database, or on the way there, with where that is; any other as it is. */
export function unusable(error: unknown, url: string): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code !== "string" && !isDisconnected(error)) return error;
  const { host, pathname, searchParams } = new URL(url);
  const where = `${searchParams.get("host") ?? host}${pathname}`;
  // Of a host with several addresses Node.js gives a code alone.
  return new DatabaseUnusable(`the database ${where} cannot be used: ${message || code}`, { cause: error });
}

/** Whether the server takes no writes: it is a standby, or its role or database may only read. */
export const isReadOnly = (error: unknown): boolean => (error as { code?: unknown }).code === READ_ONLY_SQL_TRANSACTION;

const READ_ONLY_SQL_TRANSACTION = "25006";

/** Runs work in one transaction: committed when it returns, rolled back when it throws. */
export async function transaction<T>(pool: Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const client: PoolClient = await pool.connect();
  let broken: Error | undefined;
  // A connection that breaks says so to its query, and here: without a listener it would end the process.
  const breaks = (error: Error): void => {
    broken = error;
  };
  client.on("error", breaks);
  const sent: Promise<unknown>[] = [];
  let failure: Error | undefined;
  const send = <Row extends QueryResultRow>(
    statement: string | Prepared,
    values?: readonly unknown[],
  ): Promise<readonly Row[]> => {
    const answer = (client as Queryable).query<Row>(statement, values).then(({ rows }) => rows);
    const noted = (error: Error): void => {
      failure ??= error;
    };
    sent.push(answer.catch(noted));
    return answer;
  };
  try {
    send("begin");
    const result = await work({ query: client.query.bind(client) as Queryable["query"], send });
    await Promise.all([...sent, client.query("commit")]);
    if (failure) throw failure;
    return result;
  } catch (error) {
    await client.query("rollback").catch((failed: Error) => {
      broken = failed;
    });
    // Of a server that has become a standby: another connection may lead to the one that took its place.
    if (isReadOnly(failure ?? error)) broken ??= (failure ?? error) as Error;
    throw failure ?? error;
  } finally {
    client.off("error", breaks);
    client.release(broken);
  }
}
