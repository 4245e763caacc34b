/** A datasource's life after its creation. */
import type { Pool } from "pg";
import { recordAudit } from "./audit";
import { CatalogConflict } from "./catalog";
import { transaction } from "./database";
import type { Actor } from "./jobs";
import { type Keyring, seal } from "./seal";

export interface DatasourceRef {
  readonly deploymentId: string;
  readonly id: string;
}

/** What is undefined stays as it is. */
export interface DatasourceChange {
  readonly url?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** All that there are from then on. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  readonly setOptions?: Readonly<Record<string, string>> | undefined;
  /** Keys; those that are not there are none to the change. */
  readonly removeOptions?: readonly string[] | undefined;
}

/**
 * Changes a datasource and gives its version. A new password makes a new version, which is sealed with it, so that the old one
 * cannot be put back; running jobs keep what they were granted with.
 */
export async function changeDatasource(
  pool: Pool,
  keyring: Keyring,
  { deploymentId, id }: DatasourceRef,
  change: DatasourceChange,
  actor: Actor,
): Promise<number | "not_found"> {
  return await transaction(pool, async (tx) => {
    const found = await tx.query<{ version: number; sealed_password: string }>(
      `select version, sealed_password from datasources
       where id = $1 and deployment_id = $2 and deleted_at is null for update`,
      [id, deploymentId],
    );
    const row = found.rows[0];
    if (!row) return "not_found";
    const { setOptions, removeOptions } = change;
    const isResealed = change.password !== undefined;
    const version = isResealed ? row.version + 1 : row.version;
    const sealed =
      change.password === undefined
        ? row.sealed_password
        : seal(keyring, change.password, { deploymentId, datasourceId: id, version });
    await tx.query(
      `update datasources set url = coalesce($2, url), username = coalesce($3, username), options = coalesce($4, options) - $7::text[] || $8,
         sealed_password = $5, version = $6 where id = $1`,
      [
        id,
        change.url ?? null,
        change.user ?? null,
        change.options ? JSON.stringify(change.options) : null,
        sealed,
        version,
        removeOptions ?? [],
        JSON.stringify(setOptions ?? {}),
      ],
    );
    const detail = {
      changed: changedIn(change),
      version,
      // Values may be secrets, keys are none.
      ...(setOptions && { setOptions: Object.keys(setOptions) }),
      ...(removeOptions && { removeOptions }),
    };
    recordAudit(tx, { deploymentId, actor, action: "datasource.change", subject: id, detail });
    return version;
  });
}

function changedIn({ setOptions, removeOptions, ...change }: DatasourceChange): string[] {
  const fields = Object.entries({ ...change, options: change.options ?? setOptions ?? removeOptions });
  return fields.flatMap(([field, value]) => (value === undefined ? [] : [field])).sort();
}

/** Deletes a datasource and its sealed password. Throws a `CatalogConflict` that names the jobs which still use it. */
export async function deleteDatasource(
  pool: Pool,
  { deploymentId, id }: DatasourceRef,
  actor: Actor,
): Promise<"deleted" | "not_found"> {
  return await transaction(pool, async (tx) => {
    const found = await tx.query(
      "select 1 from datasources where id = $1 and deployment_id = $2 and deleted_at is null for update",
      [id, deploymentId],
    );
    if (found.rows.length === 0) return "not_found";
    const { rows } = await tx.query<{ name: string }>(
      "select name from jobs where $1 in (source_id, sink_id) and deleted_at is null order by name limit 5",
      [id],
    );
    if (rows.length > 0) {
      throw new CatalogConflict(
        `jobs use the datasource: ${rows.map(({ name }) => name).join(", ")}; delete them first`,
      );
    }
    await tx.query("update datasources set deleted_at = now(), sealed_password = '' where id = $1", [id]);
    recordAudit(tx, { deploymentId, actor, action: "datasource.delete", subject: id });
    return "deleted";
  });
}
