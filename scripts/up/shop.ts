import type { Pool } from "pg";

/** So many times a second the shop changes. */
const TICKS_PER_SECOND = 10;

/** Older orders are deleted, so that a fleet may run for weeks. */
const KEPT_ORDERS = 10_000;

/**
 * A shop that sells: places orders, changes some, deletes old ones, until stopped. A change that fails is told and tried again.
 *
 * @returns a function that stops it and resolves when the last change is through.
 */
export function runShop(pool: Pool, ordersPerSecond: number, failed: (reason: string) => void): () => Promise<void> {
  let stopped = false;
  let due = 0;
  const tick = async (): Promise<void> => {
    due += ordersPerSecond / TICKS_PER_SECOND;
    const orders = Math.floor(due);
    if (orders === 0) return;
    due -= orders;
    await pool.query(
      `with placed as (
         insert into orders (customer, cents)
         select 'customer ' || (random() * 96)::int, (random() * 10000)::int from generate_series(1, $1) returning id
       ), newest as (
         select max(id) as id from placed
       ), paid as (
         update orders set state = 'paid' where id = (select id - 5 - (random() * 100)::int from newest)
       )
       delete from orders where id <= (select id - $2 from newest)`,
      [orders, KEPT_ORDERS],
    );
  };
  const selling = (async () => {
    while (!stopped) {
      const startedAt = performance.now();
      await tick().catch((error: Error) => failed(`the shop cannot sell: ${error.message}`));
      const restMs = Math.max(0, 1_000 / TICKS_PER_SECOND - (performance.now() - startedAt));
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  })();
  return async () => {
    stopped = true;
    await selling;
  };
}

/** How far the copy is. */
export interface Progress {
  /** Number of the newest order in the shop. */
  readonly rowsIn: number;
  /** Number of the newest order in the copy. */
  readonly rowsOut: number;
  /** Age of the oldest order that the copy lacks, in ms; 0 when it lacks none. */
  readonly lagMs: number;
}

const UNDEFINED_TABLE = "42P01";

/** Looks at the copy first: what is there was in the shop before. */
export async function readProgress(shop: Pool, copy: Pool): Promise<Progress> {
  const rowsOut = await copy.query<{ newest: number }>("select coalesce(max(id), 0) as newest from orders").then(
    ({ rows }) => rows[0]?.newest ?? 0,
    (error: { code?: string }) => {
      if (error.code === UNDEFINED_TABLE) return 0;
      throw error;
    },
  );
  const { rows } = await shop.query<{ newest: number; lag: number }>(
    `select coalesce(max(id), 0) as newest,
       coalesce(extract(epoch from clock_timestamp() - min(placed_at) filter (where id > $1)) * 1000, 0)::float as lag
     from orders`,
    [rowsOut],
  );
  return { rowsIn: rows[0]?.newest ?? 0, rowsOut, lagMs: rows[0]?.lag ?? 0 };
}

/** Whether the copy's rows are the shop's, column by column. */
export async function isEqual(shop: Pool, copy: Pool): Promise<boolean> {
  const digest = `select count(*) as rows,
    md5(string_agg(concat_ws('|', id, customer, cents, state, extract(epoch from placed_at)), ',' order by id)) as digest from orders`;
  const [one, other] = await Promise.all([shop.query(digest), copy.query(digest)]);
  return one.rows[0].rows === other.rows[0].rows && one.rows[0].digest === other.rows[0].digest;
}
