import type { Prepared, Queryable, Transaction } from "./database";
import type { Listed } from "./inventory";

/** Stands for all deployments together; their chain of entries is one of its own. */
export const ALL_DEPLOYMENTS = "00000000-0000-0000-0000-000000000000";

export interface AuditEntry {
  /** Null: it concerns all deployments. */
  readonly deploymentId: string | null;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  /** Never holds a secret. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

const ADD: Prepared = {
  name: "add-audit-entries",
  text: `
    select add_audit_entries(array(
      select (chain, 0, now(), actor, action, subject, detail, '')::audit_log
      from jsonb_to_recordset($1) as entry (chain uuid, actor text, action text, subject text, detail jsonb)))`,
};

/**
 * Adds entries in the transaction of the changes they tell of. The database chains each to the one before, and other transactions that
 * add to the same chains wait until this one has ended: it comes last. Chains are taken in the order of ids, so that no two
 * transactions wait for each other.
 */
export function recordAudit(tx: Transaction, ...entries: readonly AuditEntry[]): void {
  if (entries.length === 0) return;
  const rows = entries
    .map(({ deploymentId, detail = {}, ...entry }) => ({ ...entry, detail, chain: deploymentId ?? ALL_DEPLOYMENTS }))
    .sort((one, other) => Number(one.chain > other.chain) - Number(one.chain < other.chain));
  tx.send(ADD, [JSON.stringify(rows)]);
}

/** Entries after the one with number `after`, oldest first. */
export async function listAudit(
  db: Queryable,
  deploymentId: string | null,
  { after, limit }: { readonly after: number; readonly limit: number } = { after: 0, limit: Number.MAX_SAFE_INTEGER },
): Promise<Listed[]> {
  const { rows } = await db.query(
    `select seq, at, actor, action, subject, detail from audit_log
     where deployment_id = $1 and seq > $2 order by seq limit $3`,
    [deploymentId ?? ALL_DEPLOYMENTS, after, limit],
  );
  return rows;
}
