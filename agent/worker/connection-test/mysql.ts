import type { Connection as Session } from "mysql2/promise";
import type { Connection } from "../../../control-plane/protocol";
import { type Check, type Checks, type Finding, type TestProps, unchecked } from "./check";
import { type Address, connected, firstBytes } from "./reach";

export interface MysqlProps extends Pick<TestProps, "role" | "connection"> {
  readonly address: Address;
  /** Steps of a sink that speaks MySQL's protocol. @default - nothing of a sink is tried beyond the login */
  readonly sinkChecks?: (ask: Ask) => readonly Check[];
}

type Login = { readonly usesTls: boolean } & ({ readonly session: Session } | { readonly error: unknown });

/** A MySQL server is tried as a daemon would use it: TLS where it offers any, login, and what reading its binary log takes. */
export function mysqlChecks({ role, connection, address, sinkChecks = untried }: MysqlProps): Checks {
  const isVerified = connection.options["MYSQL_TLS_SKIP_VERIFY"] !== "true";
  const open = new Set<Session>();
  let login: Promise<Login> | undefined;
  const logIn = (): Promise<Login> => {
    login ??= attempt(connection, address, isVerified, open);
    return login;
  };
  const ask = async <Row extends object>(text: string): Promise<Row[]> => {
    const told = await logIn();
    if ("error" in told) throw told.error;
    return (await told.session.query(text))[0] as Row[];
  };

  const tls = async (signal: AbortSignal): Promise<Finding> => {
    await greeting(address, signal);
    const told = await logIn();
    if ("error" in told && !isRefusal(told.error)) throw told.error;
    if (!told.usesTls) return "the server offers none";
    if ("error" in told) return "used";
    const status = await ask<{ Value: string }>(
      "show session status where variable_name in ('Ssl_version', 'Ssl_cipher')",
    );
    const negotiated = status
      .map(({ Value }) => Value)
      .sort()
      .reverse();
    return `${negotiated.join(", ")}${isVerified ? "" : ", certificate not verified"}`;
  };
  const auth = async (): Promise<Finding> => {
    const [who] = await ask<{ user: string; version: string }>("select current_user() as user, version() as version");
    return `${who?.user}, ${who?.version}`;
  };
  return {
    steps: [
      { step: "tls", look: tls },
      { step: "auth", look: auth },
      ...(role === "source" ? sourceChecks(ask, connection) : sinkChecks(ask)),
    ],
    close: () => {
      for (const session of open) session.destroy();
    },
  };
}

const HEADER_BYTES = 4;
const MAX_GREETING_BYTES = 4_096;

/**
 * The client would wait for the rest of what another protocol begins with. The first packet of a conversation is short and has number 0:
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
async function greeting(address: Address, signal: AbortSignal): Promise<void> {
  const socket = await connected(address, signal);
  try {
    const header = await firstBytes(socket, HEADER_BYTES);
    const length = header.readUIntLE(0, 3);
    if (length > 0 && length <= MAX_GREETING_BYTES && header[3] === 0) return;
  } finally {
    socket.destroy();
  }
  throw new Error("the server does not speak MySQL's protocol");
}

/** Asks for TLS first: a server that has it is never told a password without. */
async function attempt(
  { url, user, password }: Connection,
  { host, port }: Address,
  isVerified: boolean,
  open: Set<Session>,
): Promise<Login> {
  const { createConnection } = await import("mysql2");
  const database = decodeURIComponent(new URL(url).pathname.slice(1));
  const connect = async (usesTls: boolean): Promise<Session> => {
    const ssl = usesTls && { ssl: { rejectUnauthorized: isVerified, verifyIdentity: isVerified } };
    const session = createConnection({ host, port, user, password, ...(database && { database }), ...ssl }).promise();
    open.add(session);
    session.on("error", () => undefined);
    await session.connect();
    return session;
  };
  const outcome = async (usesTls: boolean): Promise<Login> => {
    try {
      return { usesTls, session: await connect(usesTls) };
    } catch (error) {
      return { usesTls, error };
    }
  };
  const login = await outcome(true);
  return "error" in login && codeOf(login.error) === "HANDSHAKE_NO_SSL_SUPPORT" ? await outcome(false) : login;
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code);

/** The server has answered, and means no. */
const isRefusal = (error: unknown): boolean => codeOf(error).startsWith("ER_");

const untried = () => unchecked(["privileges", "write"], "no daemon writes to MySQL");

/** Rows of a query; throws what the login did. */
export type Ask = <Row extends object>(text: string) => Promise<Row[]>;

/** What a user needs to read the binary log, and what the second is called by MariaDB. */
const PRIVILEGES = [/^REPLICATION SLAVE$/, /^(REPLICATION CLIENT|BINLOG MONITOR|SUPER)$/];

function sourceChecks(ask: Ask, { options }: Connection): readonly Check[] {
  const privileges = async (): Promise<Finding> => {
    const rows = await ask<{ held: string }>(
      `select privilege_type as held from information_schema.user_privileges
       where grantee = concat('''', replace(current_user(), '@', '''@'''), '''')`,
    );
    if (PRIVILEGES.every((wanted) => rows.some(({ held }) => wanted.test(held)))) return "may read the binary log";
    const cure = "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the user";
    const [active] = await ask<{ role: string | null }>("select current_role() as role");
    if (!active?.role || active.role === "NONE") throw new Error(`the user may not read the binary log: ${cure}`);
    return {
      result: "warning",
      detail: `whether its role ${active.role} lets the user read the binary log is not seen: ${cure}`,
    };
  };
  const replication = async (): Promise<Finding> => {
    const rows = await ask<{ Variable_name: string; Value: string }>(
      "show global variables where variable_name in ('log_bin', 'binlog_format', 'binlog_row_image', 'gtid_mode', 'server_id')",
    );
    const set = new Map(rows.map(({ Variable_name: name, Value }) => [name.toLowerCase(), Value.toUpperCase()]));
    if (set.get("log_bin") !== "ON") throw new Error("the server writes no binary log: start it with log_bin");
    for (const [name, wanted] of [
      ["binlog_format", "ROW"],
      ["binlog_row_image", "FULL"],
    ] as const) {
      if (set.get(name) !== wanted) throw new Error(`${name} = ${set.get(name)}: set it to ${wanted}`);
    }
    const id = set.get("server_id");
    if (id === "0") throw new Error("server_id = 0: set it to another number, the server turns replicas away");
    if (id === options["MYSQL_SERVER_ID"]) throw new Error(`server_id = ${id}: give the job another MYSQL_SERVER_ID`);
    const usesGtids = options["MYSQL_GTID_ENABLED"] !== "false";
    if (!usesGtids || set.get("gtid_mode") === "ON")
      return `rows in full, ${usesGtids ? "with GTIDs" : "without GTIDs"}`;
    const has = set.has("gtid_mode") ? `gtid_mode = ${set.get("gtid_mode")}` : "the server has no gtid_mode";
    throw new Error(`${has}: set it to ON, or give the job the option MYSQL_GTID_ENABLED=false`);
  };
  return [
    { step: "privileges", look: privileges },
    { step: "replication", look: replication },
  ];
}
