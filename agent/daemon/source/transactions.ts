import type { Connection } from "../connection";

/** A moment of the source, between the transactions that wrote before it and those that did not. */
export type Moment = string;

/** The present moment. Takes a transaction id, since what ran is known only of those before one's own. */
export async function presentMoment(source: Connection): Promise<Moment> {
  const { rows } = await source.query<{ id: string }>("select pg_current_xact_id() as id");
  return rows[0]?.id ?? "0";
}

/** Whether every transaction that wrote before the moment has ended. Those that only read do not count. */
export async function allEnded(source: Connection, moment: Moment): Promise<boolean> {
  const { rows } = await source.query<{ ended: string }>(
    "select pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 as ended",
    [moment],
  );
  return rows[0]?.ended === "t";
}

/** The transactions that wrote before the moment: process ids, and the names of those that are prepared. */
export async function openTransactions(source: Connection, moment: Moment): Promise<string[]> {
  const { rows } = await source.query<{ name: string }>(
    // Other than pg_stat_activity, pg_locks shows every user the transactions of all.
    `select distinct coalesce(pid::text, gid) as name
       from pg_locks left join pg_prepared_xacts on transaction = transactionid
      where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted
        and age(transactionid) > age($1::xid8::xid) and (pid is not null or gid is not null)`,
    [moment],
  );
  return rows.map(({ name }) => name);
}

/**
 * Whether who asks the source from now on sees a transaction of its log. It is logged, and sent, before: by a moment, or by as long as a
 * synchronous standby keeps it waiting.
 *
 * @param xid its 32-bit id, from the log.
 */
export async function isVisible(source: Connection, xid: number): Promise<boolean> {
  const { rows } = await source.query<{ snapshot: string }>("select pg_current_snapshot() as snapshot");
  return snapshotSees(rows[0]?.snapshot ?? "", xid);
}

/** @param snapshot `xmin:xmax:xip,...`. https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT */
export function snapshotSees(snapshot: string, xid: number): boolean {
  const [, xmax = "0", running = ""] = snapshot.split(":");
  const isBefore = BigInt.asIntN(32, BigInt(xid) - BigInt(xmax)) < 0n;
  return isBefore && !running.split(",").some((id) => id !== "" && BigInt.asUintN(32, BigInt(id)) === BigInt(xid));
}
