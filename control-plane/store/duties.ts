import type { Queryable } from "./database";

/**
 * Takes a duty that is due: of all copies that ask, one gets it, once in each period. Periods are those of the database's clock, counted
 * from midnight: a duty of 60 s is due at each full minute. A copy that ends before it is done leaves it to the next period. One that is due
 * later than in two periods is so by a clock that was set back since: it is due.
 */
export async function takeDuty(db: Queryable, name: string, periodSeconds: number): Promise<boolean> {
  const { rows } = await db.query(
    `insert into duties as duty (name, due_at)
     values ($1, to_timestamp((floor(extract(epoch from now()) / $2) + 1) * $2))
     on conflict (name) do update set due_at = excluded.due_at
       where duty.due_at <= now() or isfinite(duty.due_at) and duty.due_at > excluded.due_at + make_interval(secs => $2)
     returning 1`,
    [name, periodSeconds],
  );
  return rows.length === 1;
}
