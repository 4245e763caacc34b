/** What operators describe: deployments and datasources. */
import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import type { Connection } from "../protocol/messages";
import { recordAudit } from "./audit";
import { type Queryable, transaction } from "./database";
import type { Actor } from "./jobs";
import { type Keyring, rewrap, seal, unseal } from "./seal";

export interface NewDatasource {
  readonly name: string;
  readonly engine: string;
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly options: Readonly<Record<string, string>>;
}

/** A name is taken, or something referred to does not exist: the message says which. */
export class CatalogConflict extends Error {}

export async function createDeployment(pool: Pool, name: string, actor: Actor): Promise<string> {
  return await transaction(pool, async (tx) => {
    const id = await inserted(tx, "insert into deployments (name) values ($1) on conflict do nothing returning id", [
      name,
    ]);
    if (!id) throw new CatalogConflict(`there is a deployment named ${name}`);
    recordAudit(tx, { deploymentId: id, actor, action: "deployment.create", subject: id, detail: { name } });
    return id;
  });
}

export async function createDatasource(
  pool: Pool,
  keyring: Keyring,
  deploymentId: string,
  wanted: NewDatasource,
  actor: Actor,
): Promise<string> {
  const id = randomUUID();
  const sealed = seal(keyring, wanted.password, { deploymentId, datasourceId: id, version: 1 });
  return await transaction(pool, async (tx) => {
    const created = await inserted(
      tx,
      `insert into datasources (id, deployment_id, name, engine, url, username, options, sealed_password)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning id`,
      [id, deploymentId, wanted.name, wanted.engine, wanted.url, wanted.user, JSON.stringify(wanted.options), sealed],
    );
    if (!created) throw new CatalogConflict(`there is a datasource named ${wanted.name}`);
    const detail = { name: wanted.name, engine: wanted.engine };
    recordAudit(tx, { deploymentId, actor, action: "datasource.create", subject: id, detail });
    return id;
  });
}

/** A datasource, its password sealed. */
export interface SealedDatasource {
  id: string;
  engine: string;
  url: string;
  username: string;
  options: Record<string, string>;
  sealed_password: string;
  version: number;
}

/** How to reach a datasource, credentials included, or why its password cannot be opened; null when it was deleted. */
export async function readConnection(
  db: Queryable,
  keyring: Keyring,
  datasourceId: string,
): Promise<Connection | Error | null> {
  const { rows } = await db.query<SealedDatasource & { deployment_id: string }>(
    "select * from datasources where id = $1 and deleted_at is null",
    [datasourceId],
  );
  const row = rows[0];
  return row ? openDatasource(keyring, row.deployment_id, row) : null;
}

/** Opens a datasource's password. An error where the keyring lacks its key, or it was tampered with. */
export function openDatasource(keyring: Keyring, deploymentId: string, sealed: SealedDatasource): Connection | Error {
  const { id: datasourceId, version, engine, url, username: user, options } = sealed;
  try {
    const password = unseal(keyring, sealed.sealed_password, { deploymentId, datasourceId, version });
    return { engine, url, user, password, options };
  } catch (error) {
    return error as Error;
  }
}

/** So many are named of those that cannot be wrapped. */
const NAMED = 5;

/**
 * Wraps every sealed password with the keyring's current key, in portions, while all else goes on; gives how many it wrapped. Each portion
 * that wraps any has its entry in the audit log, and so has the last, which says whether the rotation is complete.
 *
 * @throws CatalogConflict that names the datasources whose password cannot be opened, and why; all others are wrapped by then.
 */
export async function rotateKeys(pool: Pool, keyring: Keyring, actor: Actor, portion = 500): Promise<number> {
  let wrapped = 0;
  const unopened: string[] = [];
  for (let after: string | undefined = "00000000-0000-0000-0000-000000000000"; after !== undefined; ) {
    const from: string = after;
    after = await transaction(pool, async (tx) => {
      const { rows } = await tx.query<WrappedRow>(
        `select id, deployment_id, name, version, sealed_password from datasources
         where id > $1 and deleted_at is null order by id limit $2 for update`,
        [from, portion],
      );
      const changed = rows.flatMap(({ id, deployment_id: deploymentId, name, version, sealed_password: sealed }) => {
        try {
          const again = rewrap(keyring, sealed, { deploymentId, datasourceId: id, version });
          return again === sealed ? [] : [{ id, again }];
        } catch (error) {
          unopened.push(`${name} (${(error as Error).message})`);
          return [];
        }
      });
      await tx.query(
        `update datasources d set sealed_password = changed.sealed
         from unnest($1::uuid[], $2::text[]) as changed (id, sealed) where d.id = changed.id`,
        [changed.map(({ id }) => id), changed.map(({ again }) => again)],
      );
      wrapped += changed.length;
      const isLast = rows.length < portion;
      if (changed.length > 0 || isLast) {
        const complete = isLast && unopened.length === 0;
        const detail = { key: keyring.current, wrapped: changed.length, complete };
        recordAudit(tx, { deploymentId: null, actor, action: "keys.rotate", subject: "all", detail });
      }
      return isLast ? undefined : rows.at(-1)?.id;
    });
  }
  if (unopened.length > 0) throw unwrapped(unopened);
  return wrapped;
}

interface WrappedRow {
  readonly id: string;
  readonly deployment_id: string;
  readonly name: string;
  readonly version: number;
  readonly sealed_password: string;
}

function unwrapped(unopened: readonly string[]): CatalogConflict {
  const more = unopened.length > NAMED ? ` and ${unopened.length - NAMED} more` : "";
  return new CatalogConflict(
    `no key may leave HOLDFAST_KEYRING yet, as passwords cannot be wrapped with the current one: ${unopened.slice(0, NAMED).join(", ")}${more}; ` +
      "put the missing key back, or change the datasource's password",
  );
}

/** How many passwords each key of the database has sealed that a keyring lacks: nothing that uses them can be run. */
export async function countUnopenable(db: Queryable, { keys }: Keyring): Promise<ReadonlyMap<string, number>> {
  const { rows } = await db.query<{ key: string; passwords: number }>(
    `select split_part(sealed_password, '.', 2) as key, count(*) as passwords from datasources
     where deleted_at is null and split_part(sealed_password, '.', 2) <> all($1) group by 1 order by 1`,
    [[...keys.keys()]],
  );
  return new Map(rows.map(({ key, passwords }) => [key, passwords]));
}

async function inserted(tx: Queryable, sql: string, values: readonly unknown[]): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>(sql, values);
  return rows[0]?.id;
}
