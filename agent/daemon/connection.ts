import { Client, type ClientConfig, DatabaseError } from "pg";
import { reason } from "../host/log";
import { ConnectionLostError, SetupError } from "./failure";
import { cutWhenDead } from "./liveness";
import { filesProblem, settleSslMode, tlsProblem } from "./tls";

/** Values travel as PostgreSQL's own text, from server to server, and never become JavaScript values. */
const asText: NonNullable<ClientConfig["types"]> = { getTypeParser: () => (value: string) => value };

/**
 * Both ends must write and read that text alike, whatever their defaults are, and a policy that hides rows must be an error.
 * https://www.postgresql.org/docs/current/runtime-config-client.html
 */
const OUR_SETTINGS = [
  "datestyle=ISO",
  "intervalstyle=postgres",
  "extra_float_digits=3",
  "bytea_output=hex",
  "timezone=UTC",
  "client_encoding=UTF8",
  "array_nulls=on",
  "xmloption=content",
  "lc_monetary=C",
  "row_security=off",
  // Under a stricter one, who has lost the slot is told of a conflict instead.
  "default_transaction_isolation=read\\ committed",
];

const CONNECT_TIMEOUT_MS = 10_000;

/** An idle connection is probed from then on: without it, after two hours. */
const KEEPALIVE_AFTER_MS = 30_000;

/** A frozen daemon must not hold the sink's rows, or the source's vacuum horizon, longer than this. */
const IDLE_TRANSACTION_TIMEOUT_MS = 60_000;

export interface ConnectionOptions {
  /** A walsender connection: it takes replication commands beside plain queries. */
  readonly replication?: boolean;
  /** The statement has no end, and who reads what it sends watches it. */
  readonly endless?: boolean;
  /** Settings of the session, `name=value`. */
  readonly settings?: readonly string[];
}

/** What is done with a connection. All values are text; null is SQL's null. */
export type Connection = Client;

/** Opens a connection whose values are text. Options of the URL come before ours. The caller ends it, also after a failure. */
export async function connect(
  url: string,
  { replication = false, endless = false, settings = [] }: ConnectionOptions = {},
): Promise<Connection> {
  const client = await open(url, replication, settings);
  if (endless) return client;
  let pid: string | undefined;
  cutWhenDead(client, {
    ask: () => hasSession(url, pid),
    cut: (why) => cut(client, new ConnectionLostError(`${client.host}:${client.port} ${why}`)),
  });
  try {
    const { rows } = await client.query<{ pid: string }>("select pg_backend_pid() as pid");
    pid = rows[0]?.pid;
  } catch (error) {
    abandon(client);
    throw error;
  }
  return client;
}

/** A server that refuses a connection is alive, and is not asked for more. */
async function hasSession(url: string, pid: string | undefined): Promise<"there" | "gone"> {
  let client: Client | undefined;
  try {
    client = await open(url);
    const { rowCount } = await client.query("select from pg_stat_activity where pid = $1", [pid]);
    return pid !== undefined && rowCount === 0 ? "gone" : "there";
  } catch (error) {
    if (error instanceof DatabaseError) return "there";
    throw error;
  } finally {
    if (client) abandon(client);
  }
}

async function open(url: string, replication = false, settings: readonly string[] = []): Promise<Client> {
  const client = clientOf(url, replication, settings);
  // The query that runs, or the next one, fails with the same reason; without a listener the process would end here.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    const explained = explain(client, error);
    abandon(client);
    throw explained;
  }
  return client;
}

/** What is thrown where nothing else tells which server it is about. */
function explain(client: Client, error: unknown): unknown {
  const server = `${client.host}:${client.port}`;
  const problem = tlsProblem(client, error);
  if (problem !== undefined) return new SetupError(`no TLS connection to ${server}: ${problem}`);
  const { message, errors = [] } = error as Partial<AggregateError>;
  if (message === "timeout expired") {
    return new ConnectionLostError(`${server} did not answer within ${CONNECT_TIMEOUT_MS / 1_000} s`);
  }
  // Of a name with several addresses, and without a message.
  return message === "" && errors.length > 0
    ? new ConnectionLostError(errors.map(({ message }) => message).join(", "))
    : error;
}

/** Why a URL is of no use, whatever the server: a certificate's file that cannot be read, for instance. */
export function unusable(url: string): string | undefined {
  try {
    const { ssl } = clientOf(url) as { ssl?: unknown };
    return typeof ssl === "object" && ssl !== null ? filesProblem(ssl) : undefined;
  } catch (error) {
    return reason(error);
  }
}

function clientOf(url: string, replication = false, settings: readonly string[] = []): Client {
  // Left in the URL, they would replace ours.
  const { href, options } = withoutOptions(url);
  return new Client({
    connectionString: href,
    application_name: "holdfast-daemon",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_AFTER_MS,
    types: asText,
    options: [
      ...options,
      ...[...OUR_SETTINGS, `idle_in_transaction_session_timeout=${IDLE_TRANSACTION_TIMEOUT_MS}`, ...settings].map(
        (setting) => `-c ${setting}`,
      ),
    ].join(" "),
    ...(replication ? { replication: "database" } : {}),
  } as ClientConfig);
}

/** Settings of the server that a URL may have as parameters of their own. */
const TIMEOUTS = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];

/** What is counted or sent by the client: a transaction must end as the server says, and the replication stream is a query without an end. */
const NOT_TAKEN = ["options", "application_name", "query_timeout", "replication", ...TIMEOUTS];

function withoutOptions(url: string): { href: string; options: readonly string[] } {
  const parsed = new URL(url);
  settleSslMode(parsed);
  const timeouts = TIMEOUTS.flatMap((name) =>
    parsed.searchParams.getAll(name).map((value) => `-c ${name}=${Number.parseInt(value, 10) || 0}`),
  );
  const options = [...timeouts, ...parsed.searchParams.getAll("options")];
  for (const name of NOT_TAKEN) parsed.searchParams.delete(name);
  return { href: parsed.href, options };
}

/** Cuts the connection without a word: what was not committed is rolled back by the server. */
export function abandon(client: Connection): void {
  cut(client);
}

function cut(client: Connection, why?: Error): void {
  (client as unknown as { connection: { stream: { destroy(error?: Error): void } } }).connection.stream.destroy(why);
}

/** Runs work in one transaction: committed when it returns, rolled back when it throws. */
export async function transaction<T>(client: Connection, work: () => Promise<T>): Promise<T> {
  await client.query("begin");
  try {
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}
