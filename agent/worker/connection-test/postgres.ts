import { randomBytes } from "node:crypto";
import { Client } from "pg";
import type { Connection } from "../../../control-plane/protocol";
import { connectionUrl } from "../daemon/environment";
import type { Check, Checks, Finding, TestProps } from "./check";
import { type Address, connected, firstBytes } from "./reach";
import { handshake } from "./tls";

export interface PostgresProps extends Pick<TestProps, "role" | "connection" | "plainConnectionsOnly"> {
  readonly address: Address;
}

/** Length and code: https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** How servers and poolers refuse a login because it came without TLS. */
const TLS_DEMANDED = /no encryption|SSL off|SSL (connection )?(is )?required/i;

type Login = { readonly client: Client } | { readonly error: unknown };

/** A PostgreSQL server is tried as a daemon would use it: TLS, login, and what the role needs of it. */
export function postgresChecks({ role, connection, address, plainConnectionsOnly }: PostgresProps): Checks {
  const sslmode = connection.options["sslmode"] ?? "disable";
  const usesTls = sslmode !== "disable" && !plainConnectionsOnly;
  let client: Client | undefined;
  let login: Promise<Login> | undefined;
  const connect = async (): Promise<Login> => {
    try {
      client = clientOf(usesTls ? connection : { ...connection, options: {} });
      await client.connect();
      return { client };
    } catch (error) {
      return { error };
    }
  };
  const logIn = () => {
    login ??= connect();
    return login;
  };
  const query = async <Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row> => {
    if (!client) throw new Error("nobody is logged in");
    return (await client.query(text, [...values])).rows[0];
  };

  const tls = async (signal: AbortSignal): Promise<Finding> => {
    const offer = await tlsOffer(address, signal);
    if (usesTls) {
      if (!offer.made) {
        offer.socket.destroy();
        throw new Error(`the server offers no TLS, and sslmode=${sslmode} asks for it`);
      }
      return await handshake(offer.socket, address, sslmode !== "no-verify");
    }
    offer.socket.destroy();
    const told = await logIn();
    if ("error" in told && TLS_DEMANDED.test(String(told.error))) {
      const detail = plainConnectionsOnly
        ? "the server demands TLS, which the daemon of this worker cannot speak: let the worker in without it (hostnossl in pg_hba.conf, rds.force_ssl = 0)"
        : "the server demands TLS: give the datasource the option sslmode=verify-full";
      return { result: "warning", detail };
    }
    if (sslmode !== "disable") {
      const detail = `sslmode=${sslmode} asks for TLS, which the daemon of this worker cannot speak: what it sends is not encrypted`;
      return { result: "warning", detail };
    }
    return offer.made ? "offered, not used" : "not offered, not used";
  };

  const auth = async (): Promise<Finding> => {
    const result = await logIn();
    if ("error" in result) throw result.error;
    const { version, database } = await query<{ version: string; database: string }>(
      "select current_setting('server_version') as version, current_database() as database",
    );
    return `${connection.user} in ${database}, PostgreSQL ${version}`;
  };

  const steps: readonly Check[] = [
    { step: "tls", look: tls },
    { step: "auth", look: auth },
    ...(role === "source" ? sourceChecks(query) : sinkChecks(query, connection)),
  ];
  // A server that is silent gets no farewell, and one that answers the login later finds nobody.
  const close = () =>
    void (client as unknown as { connection: { stream: { destroy(): void } } })?.connection.stream.destroy();
  return { steps, close };
}

function clientOf(connection: Connection): Client {
  const client = new Client({
    connectionString: connectionUrl(connection),
    application_name: "holdfast-connection-test",
    options: "-c statement_timeout=5s -c lock_timeout=2s",
  });
  client.on("error", () => undefined);
  return client;
}

async function tlsOffer(address: Address, signal: AbortSignal) {
  const socket = await connected(address, signal);
  socket.write(SSL_REQUEST);
  const [answer = 0] = await firstBytes(socket, 1);
  const letter = String.fromCharCode(answer);
  if (letter !== "S" && letter !== "N") {
    socket.destroy();
    throw new Error("the server does not speak PostgreSQL's protocol");
  }
  return { socket, made: letter === "S" };
}

type Query = <Row extends object>(text: string, values?: readonly unknown[]) => Promise<Row>;

function sourceChecks(query: Query): readonly Check[] {
  const privileges = async (): Promise<Finding> => {
    // On RDS the right to replicate comes with membership in a role of that name.
    const { replicates, publishes, database } = await query<
      Record<"replicates" | "publishes", boolean> & { database: string }
    >(
      `select exists (select from pg_roles where rolname = current_user and (rolsuper or rolreplication))
           or exists (select from pg_roles where rolname = 'rds_replication' and pg_has_role(current_user, oid, 'member')) as replicates,
         has_database_privilege(current_database(), 'create') as publishes, current_database() as database`,
    );
    if (!replicates)
      throw new Error("the user may not replicate: ALTER ROLE … REPLICATION (on RDS: GRANT rds_replication TO …)");
    if (publishes) return "may replicate and create a publication";
    const detail = `may replicate, but not create a publication: GRANT CREATE ON DATABASE ${database}, or create the job's publication beforehand`;
    return { result: "warning", detail };
  };
  const replication = async (): Promise<Finding> => {
    const { level, standby } = await query<{ level: string; standby: boolean }>(
      "select current_setting('wal_level') as level, pg_is_in_recovery() as standby",
    );
    if (standby) throw new Error("the server is a standby: give the address of the primary");
    if (level === "logical") return "wal_level = logical";
    throw new Error(
      `wal_level = ${level}: set it to logical (on RDS: rds.logical_replication = 1) and restart the server`,
    );
  };
  const slots = async (): Promise<Finding> => {
    const { slots, senders, taken, sending } = await query<Record<"slots" | "senders" | "taken" | "sending", number>>(
      `select current_setting('max_replication_slots')::int as slots, current_setting('max_wal_senders')::int as senders,
         (select count(*) from pg_replication_slots)::int as taken, (select count(*) from pg_stat_replication)::int as sending`,
    );
    const use = `${taken} of ${slots} slots and ${sending} of ${senders} WAL senders are in use`;
    if (taken >= slots) throw new Error(`${use}: drop a slot that is not needed, or raise max_replication_slots`);
    if (sending >= senders) throw new Error(`${use}: raise max_wal_senders`);
    return use;
  };
  return [
    { step: "privileges", look: privileges },
    { step: "replication", look: replication },
    { step: "slots", look: slots },
  ];
}

/** Where daemons keep a job's position, if they find it there. */
const POSITION_SCHEMAS = ["holdfast", "_dbmazz"];

function sinkChecks(query: Query, { options }: Connection): readonly Check[] {
  const schema = options["SINK_SCHEMA"] ?? "public";
  /** A schema that is there for the position; undefined where one may be made. */
  let position: string | undefined;
  const privileges = async (): Promise<Finding> => {
    const { creates, known, uses, database, own } = await query<
      Record<"creates" | "known" | "uses", boolean> & { database: string; own: string | null }
    >(
      `select has_database_privilege(current_database(), 'create') as creates, current_database() as database,
         exists (select from pg_namespace where nspname = $1) as known,
         coalesce((select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = $1), false) as uses,
         (select min(nspname) from pg_namespace where nspname = any($2) and has_schema_privilege(oid, 'create')) as own`,
      [schema, POSITION_SCHEMAS],
    );
    if (!known) throw new Error(`there is no schema ${schema}: create it, or change SINK_SCHEMA`);
    if (!uses) throw new Error(`the user may not use schema ${schema}: GRANT USAGE ON SCHEMA ${schema}`);
    if (creates) return `may use schema ${schema} and create one that holds a job's position`;
    position = own ?? undefined;
    if (position) return `may use schema ${schema} and keep a job's position in ${position}`;
    throw new Error(
      `the user may not create the schema that holds a job's position: GRANT CREATE ON DATABASE ${database}`,
    );
  };
  const write = async (): Promise<Finding> => {
    const name = `holdfast_test_${randomBytes(8).toString("hex")}`;
    await query("begin");
    try {
      if (!position) await query(`create schema ${name}`);
      await query(`create table ${position ?? name}.${name} (n int primary key)`);
      await query(`insert into ${position ?? name}.${name} values (1)`);
    } finally {
      await query("rollback").catch(() => undefined);
    }
    return "a row was written and rolled back";
  };
  return [
    { step: "privileges", look: privileges },
    { step: "write", look: write },
  ];
}
