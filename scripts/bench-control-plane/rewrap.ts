import type { Bench } from "../bench/bench";
import { BeatingFleet } from "./beating-fleet";
import { Connections } from "./connections";
import { quantile } from "./figures";
import { Operators } from "./operators";
import { ParkedFleet } from "./parked-fleet";
import { type BenchStore, KEYRING, openSessions, startCopy, startStore, TIMING } from "./plane";
import { putDatasources } from "./population";
import { requestToClaim } from "./request-to-claim";
import { steadily } from "./steadily";

const RECORDS = 10_000;
const BEATING = 10_000;
const PARKED = 500;
const JOBS_PER_SECOND = 100;
/** Before the keys are changed, the first of which are not counted: V8 compiles what is run for each. */
const QUIET_JOBS = 2_000;
const WARM_UP = 1_000;
/** Begun before it is known how long the change takes. */
const BUSY_JOBS = 1_000;
const LIMIT_SECONDS = 30;
const NEXT_KEY = `k2:${"22".repeat(32)}`;

/** What a change of the key that wraps every credential costs while a fleet works. */
export const rewrap: Bench = {
  name: "rewrap",
  about: `${RECORDS} datasources' passwords wrapped with a new key by one request, while ${BEATING} workers beat every ${TIMING.heartbeatMs / 1_000} s and ${JOBS_PER_SECOND} jobs a second, each of another of the datasources, are told to ${PARKED} more that wait: how long it takes, and how soon jobs are told and heartbeats answered meanwhile, beside the seconds before`,
  run: async (progress) => {
    const store = await startStore();
    const copy = await startCopy(store, { keyring: `${NEXT_KEY},${KEYRING}` });
    const operators = await Operators.at(copy, store);
    const waiting = new ParkedFleet(copy);
    const living = new BeatingFleet([copy], 1);
    const keys = new Connections(copy);
    try {
      const datasources = await putDatasources(store, RECORDS - 1);
      for (const { token } of await openSessions(store, PARKED, 200)) waiting.wait(token);
      await waiting.allParked(PARKED);
      const tokens = (await openSessions(store, BEATING)).map(({ token }) => token);
      living.begin(tokens, TIMING.heartbeatMs);
      await living.allRenewed(0);

      const tell = async (prefix: string, jobs: number) =>
        await steadily(
          JOBS_PER_SECOND,
          Array.from({ length: jobs }, (_, index) => index),
          async (index) => {
            const at = performance.now();
            const source = datasources[(index * 7_919) % datasources.length] as string;
            const toldMs = await requestToClaim(operators, waiting, `${prefix}-${index}`, source);
            return { at, toldMs };
          },
        );
      living.forget();
      const quiet = (await tell("quiet", QUIET_JOBS)).slice(WARM_UP);
      const quietAckMs = [...living.ackMs];
      progress("begins to wrap");

      living.forget();
      const busy = tell("busy", BUSY_JOBS);
      const startedAt = performance.now();
      const { wrapped } = JSON.parse(await keys.ask("/api/v1/keys/rotate", store.operatorToken, {})) as {
        wrapped: number;
      };
      const endedAt = performance.now();
      const tookSeconds = (endedAt - startedAt) / 1_000;
      const ackMs = [...living.ackMs];
      const during = (await busy).filter(({ at }) => at <= endedAt);
      const told = (jobs: readonly { readonly toldMs: number }[]) => {
        const ms = jobs.map(({ toldMs }) => toldMs);
        return { jobs: ms.length, "told p50 ms": quantile(ms, 0.5), "told p99 ms": quantile(ms, 0.99) };
      };
      return [
        {
          case: "while keys change",
          figures: {
            "took s": tookSeconds,
            "of limit": tookSeconds / LIMIT_SECONDS,
            wrapped,
            "left behind": await leftBehind(store),
            ...told(during),
            "ack p99 ms": quantile(ackMs, 0.99),
          },
        },
        { case: "before", figures: { ...told(quiet), "ack p99 ms": quantile(quietAckMs, 0.99) } },
        { case: "limit", figures: { "took s": LIMIT_SECONDS, "of limit": 1, wrapped: RECORDS, "left behind": 0 } },
      ];
    } finally {
      living.stop();
      waiting.stop();
      operators.close();
      keys.close();
      await copy.stop();
      await store.stop();
    }
  },
};

/** Records that the new key does not wrap. */
async function leftBehind({ pool }: BenchStore): Promise<number> {
  const { rows } = await pool.query<{ records: number }>(
    "select count(*)::int as records from datasources where sealed_password not like 'v1.k2.%'",
  );
  return rows[0]?.records ?? Number.NaN;
}
