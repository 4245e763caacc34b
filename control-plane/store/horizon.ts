import type { Queryable } from "./database";

/** A transaction that keeps vacuum from every table of the cluster, whatever database it is in. */
export interface PinningTransaction {
  readonly pid: number;
  readonly database: string | null;
  readonly application: string;
  readonly state: string | null;
  readonly seconds: number;
}

/** The oldest transaction that holds a snapshot or an id and has been open for so long, vacuum's own aside; undefined where there is none. */
export async function findPinningTransaction(
  db: Queryable,
  olderThanSeconds: number,
): Promise<PinningTransaction | undefined> {
  const { rows } = await db.query<PinningTransaction & Record<string, unknown>>(
    `select pid, datname as database, application_name as application, state,
       round(extract(epoch from now() - xact_start))::int as seconds
     from pg_stat_activity
     where (backend_xid is not null or backend_xmin is not null) and pid <> pg_backend_pid()
       and backend_type <> 'autovacuum worker'
       and xact_start <= now() - make_interval(secs => $1)
     order by xact_start limit 1`,
    [olderThanSeconds],
  );
  return rows[0];
}
