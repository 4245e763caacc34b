import type { Prepared, Queryable, Transaction } from "./database";

/** Stands for all deployments together; their chain of entries is one of its own. */
const ALL_DEPLOYMENTS = "00000000-0000-0000-0000-000000000000";

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
    insert into audit_log (deployment_id, seq, actor, action, subject, detail, hash)
     select chain, 0, actor, action, subject, detail, ''
     from jsonb_to_recordset($1) as entry (chain uuid, actor text, action text, subject text, detail jsonb)`,
};

/**
 * Adds entries in the transaction of the changes they tell of. The database chains each to the one before, and other transactions that
 * add to the same chains wait until this one has ended: it comes last. Chains are taken in the order of ids, so that no two
 * transactions wait for each other.
 */
export function recordAudit(tx: Transaction, ...entries: readonly AuditEntry[]): void {
  const rows = entries
    .map(({ deploymentId, detail = {}, ...entry }) => ({ ...entry, detail, chain: deploymentId ?? ALL_DEPLOYMENTS }))
    .sort((one, other) => Number(one.chain > other.chain) - Number(one.chain < other.chain));
  tx.send(ADD, [JSON.stringify(rows)]);
}

/** Entries after the one with number `after`, oldest first, at most 500. */
export async function listAudit(
  db: Queryable,
  deploymentId: string | null,
  after: number,
): Promise<Record<string, unknown>[]> {
  const { rows } = await db.query(
    `select seq, at, actor, action, subject, detail from audit_log
     where deployment_id = $1 and seq > $2 order by seq limit 500`,
    [deploymentId ?? ALL_DEPLOYMENTS, after],
  );
  return rows;
}

/**
 * Reads a deployment's chain from its start. Gives the number of the first entry that was changed, removed or put in,
 * or null when the chain is whole up to its head.
 */
export async function findAuditTampering(db: Queryable, deploymentId: string | null): Promise<number | null> {
  const { rows } = await db.query<{ seq: number }>(
    `with chain as (
       select entry.seq, entry.hash, lag(entry.hash, 1, ''::bytea) over (order by entry.seq) as previous,
         row_number() over (order by entry.seq) as expected, entry
       from audit_log entry where entry.deployment_id = $1
     ), broken as (
       select expected as seq from chain where seq <> expected or hash <> audit_hash(previous, entry)
       union all
       select coalesce((select max(expected) from chain), 0) + 1 from audit_heads
       where deployment_id = $1 and (seq, hash) is distinct from
         (coalesce((select max(seq) from chain), 0), coalesce((select hash from chain order by seq desc limit 1), ''::bytea))
     )
     select seq from broken order by seq limit 1`,
    [deploymentId ?? ALL_DEPLOYMENTS],
  );
  return rows[0]?.seq ?? null;
}
