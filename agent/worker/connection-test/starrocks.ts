import { randomBytes } from "node:crypto";
import type { Connection } from "../../../control-plane/protocol";
import { type Checks, type Finding, unchecked } from "./check";
import { type Ask, mysqlChecks } from "./mysql";
import { type Address, reachChecks } from "./reach";

export interface StarrocksProps {
  readonly connection: Connection;
  /** Of the frontend's HTTP port, which takes stream loads. */
  readonly address: Address;
}

const MYSQL_PORT = 9_030;
const TEXT_LENGTH = 200;

/** What a daemon does to the tables of its sink: it adds columns of its own, and loads rows. Older servers end names in `_PRIV`. */
const PRIVILEGES = { ALTER: /\b(ALTER|ALL)\b|\bALTER_PRIV\b/i, INSERT: /\b(INSERT|ALL)\b|\bLOAD_PRIV\b/i };

/** A StarRocks sink is tried on both of its ports, as far as that leaves no trace: a stream load would write. */
export function starrocksChecks({ connection, address }: StarrocksProps): Checks {
  const { options, url } = connection;
  const database = options["SINK_DATABASE"] ?? decodeURIComponent(new URL(url).pathname.slice(1));
  const mysql: Address = { host: address.host, port: Number(options["SINK_PORT"] ?? MYSQL_PORT) };
  const { steps, close } = mysqlChecks({
    role: "sink",
    // The daemon does not verify what it does not encrypt.
    connection: {
      ...connection,
      url: `mysql://server/${encodeURIComponent(database)}`,
      options: { MYSQL_TLS_SKIP_VERIFY: "true" },
    },
    address: mysql,
    sinkChecks: (ask) => [
      { step: "privileges", look: () => privileges(ask, database) },
      { step: "auth", look: (signal) => httpLogin(connection, database, signal) },
      ...unchecked(["write"], "a stream load would leave a row"),
    ],
  });
  return { steps: [...reachChecks(address, mysql.port), ...steps], close };
}

/** What is not seen may come with a role, so that it stops nobody. */
async function privileges(ask: Ask, database: string): Promise<Finding> {
  const grants = (await ask("show grants")).map((row) => Object.values(row).join(" "));
  const ofDatabase = grants.filter(
    (grant) => grant.includes("*.*") || /ALL DATABASES/i.test(grant) || names(grant, database),
  );
  const missing = Object.entries(PRIVILEGES).filter(
    ([, pattern]) => !ofDatabase.some((grant) => pattern.test(grant.split(/\bON\b/i)[0] ?? "")),
  );
  if (missing.length === 0) return `may load into tables of ${database}, and add columns to them`;
  const wanted = missing.map(([name]) => name).join(", ");
  return {
    result: "warning",
    detail: `no grant of ${wanted} is seen, a role may hold it: GRANT ${wanted} ON ALL TABLES IN DATABASE ${database} TO the user`,
  };
}

const names = (grant: string, database: string): boolean => grant.split(/[\s.,`'"]+/).includes(database);

/**
 * Asks the port that takes stream loads how a load fares that there never was, which needs the login of one and changes nothing:
 * https://docs.starrocks.io/docs/loading/StreamLoad/
 */
async function httpLogin({ url, user, password }: Connection, database: string, signal: AbortSignal): Promise<Finding> {
  const label = `holdfast_test_${randomBytes(8).toString("hex")}`;
  const asked = new URL(`/api/${encodeURIComponent(database)}/get_load_state?label=${label}`, url);
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  const { status, headers, body } = await fetch(asked, { headers: { authorization }, redirect: "manual", signal }).then(
    async (response) => ({ status: response.status, headers: response.headers, body: await response.text() }),
  );
  if (status === 401 || status === 403) throw new Error(`${asked.host} refuses the login over HTTP: ${status}`);
  // A follower knows the user, and sends on to its leader.
  const leader = headers.get("location");
  if (status === 307 && leader) return `${user} over HTTP at ${asked.host}, led by ${new URL(leader, asked).host}`;
  if (status === 200 && /"state"\s*:/.test(body)) return `${user} over HTTP at ${asked.host}`;
  if (status === 404)
    return {
      result: "skipped",
      detail: `not checked over HTTP: ${asked.host} is no frontend's HTTP port, give that (8030) to have it tried`,
    };
  throw new Error(`${asked.host} does not take stream loads of ${database}: ${status} ${body.slice(0, TEXT_LENGTH)}`);
}
