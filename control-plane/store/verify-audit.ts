/** Whether the chain of an audit log is whole, from page to page, so that no statement takes longer the longer the log is. */
import { ALL_DEPLOYMENTS } from "./audit";
import type { Prepared, Queryable } from "./database";

/** An entry up to which a chain was found to be whole, and the hash to which the next is chained. */
export interface ChainLink {
  readonly seq: number;
  /** In hexadecimal. */
  readonly hash: string;
}

export type Verified =
  /** The number of the first entry that was changed, removed or put in; null when the chain is whole up to its head. */
  | { readonly tamperedAt: number | null }
  /** As far as it was read the chain is whole; `newest` is the number of its newest entry. */
  | { readonly upTo: ChainLink; readonly newest: number };

/** Takes about half a second, of the fifteen after which the server ends a statement. */
const PAGE = 10_000;

/**
 * The head is read with the same snapshot as the page. Entries that were deleted for their age since the page before was read are passed
 * over, as the head says up to which; the first page is of all there are, so that none stands before the oldest.
 */
const VERIFY: Prepared = {
  name: "verify-audit",
  text: `
    with head as (
      select coalesce(seq, 0) as seq, coalesce(hash, '') as hash, coalesce(past_seq, 0) as past_seq, coalesce(past_hash, '') as past_hash
      from (select $1::uuid as deployment_id) asked left join audit_heads using (deployment_id)
    ), before as (
      select case when $2::bigint > past_seq then $2 else past_seq end as seq,
        case when $2 > past_seq then decode($3, 'hex') else past_hash end as hash
      from head
    ), page as (
      select entry from audit_log entry
      where deployment_id = $1 and seq >= coalesce($2 + 1, '-9223372036854775808') order by seq limit $4
    ), chain as (
      select (entry).seq, (entry).hash, lag((entry).hash, 1, before.hash) over (order by (entry).seq) as previous,
        before.seq + row_number() over (order by (entry).seq) as expected, entry
      from before, page
    ), last as (
      select seq, hash from (table before union all select seq, hash from chain) link order by seq desc limit 1
    )
    select (select min(expected) from chain where seq <> expected or hash <> audit_hash(previous, entry)) as broken,
      (select count(*) from page) as entries, last.seq, encode(last.hash, 'hex') as hash, head.seq as newest,
      (last.seq, last.hash) is distinct from (head.seq, head.hash) as "isCut"
    from last, head`,
};

interface Row extends ChainLink {
  readonly broken: number | null;
  readonly entries: number;
  readonly newest: number;
  /** The newest entry that there is is not the one that was added last. */
  readonly isCut: boolean;
}

/**
 * Reads a page of a deployment's chain, or of the one of all deployments where it is null: the oldest entries, which follow on the last one that
 * was deleted for its age, or those after the link.
 */
export async function verifyAudit(
  db: Queryable,
  deploymentId: string | null,
  after?: ChainLink,
  page = PAGE,
): Promise<Verified> {
  const values = [deploymentId ?? ALL_DEPLOYMENTS, after?.seq ?? null, after?.hash ?? null, page];
  const { rows } = await db.query<Row & Record<string, unknown>>(VERIFY, values);
  if (!rows[0]) throw new Error("the database says nothing of the audit log's chain");
  const { broken, entries, seq, hash, newest, isCut } = rows[0];
  if (broken !== null) return { tamperedAt: broken };
  if (entries === page) return { upTo: { seq, hash }, newest };
  return { tamperedAt: isCut ? seq + 1 : null };
}
