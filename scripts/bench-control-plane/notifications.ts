import { Waker } from "../../control-plane/api/waker";
import { openDatabase, type Prepared } from "../../control-plane/store/database";
import { ReadyJobs } from "../../control-plane/store/ready-jobs";
import type { Bench } from "../bench/bench";
import { median } from "./figures";
import { startStore } from "./plane";

const CLIENTS = 64;
const JOBS = 6_400;
const ROUNDS = 15;

const INSERT: Prepared = {
  name: "insert-job",
  text: `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state)
  values ($1, $3, $2, $2, '{t}', false, 'default', 'pending')`,
};

interface System {
  readonly name: string;
  readonly statement: Prepared;
  /** Called after each job that was put in. */
  readonly done: () => void;
}

/** What it costs writers that other copies are told of their jobs. */
export const notifications: Bench = {
  name: "notifications",
  about: `${JOBS} jobs put in by ${CLIENTS} clients, each in a transaction: with the notifications that a copy sends, and with one in every transaction, beside none, and none once more, which tells how much the machine itself varies; median, least and most of ${ROUNDS} interleaved rounds`,
  run: async () => {
    const store = await startStore();
    const writers = openDatabase(store.url, CLIENTS);
    const waker = new Waker(store.pool, store.url, new ReadyJobs(store.pool));
    waker.start();
    const systems: readonly System[] = [
      { name: "no notifications", statement: INSERT, done: () => {} },
      { name: "none once more", statement: INSERT, done: () => {} },
      {
        name: "as a copy sends them",
        statement: INSERT,
        done: () => waker.jobReady({ deploymentId: store.deploymentId, pool: "default", labels: {} }),
      },
      {
        name: "in every transaction",
        statement: {
          name: "insert-job-and-notify",
          text: `with put as (${INSERT.text}) select pg_notify('holdfast_wake', '')`,
        },
        done: () => {},
      },
    ];
    let named = 0;
    const rate = async ({ statement, done }: System): Promise<number> => {
      const startedAt = performance.now();
      let left = JOBS;
      const client = async (): Promise<void> => {
        while (left-- > 0) {
          await writers.query(statement, [store.deploymentId, store.datasourceId, `job-${named++}`]);
          done();
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, client));
      const perSecond = (JOBS * 1_000) / (performance.now() - startedAt);
      await store.pool.query("truncate jobs cascade");
      return perSecond;
    };
    try {
      for (const system of systems) await rate(system);
      const rates = systems.map((): number[] => []);
      for (let round = 0; round < ROUNDS; round++) {
        // Nobody is always first, nor always behind the slowest.
        for (let turn = 0; turn < systems.length; turn++) {
          const index = (round + turn) % systems.length;
          rates[index]?.push(await rate(systems[index] as System));
        }
      }
      const [none = []] = rates;
      return [
        ...systems.map(({ name }, index) => {
          const perSecond = rates[index] ?? [];
          const ofNone = perSecond.map((value, round) => value / (none[round] ?? Number.NaN));
          return {
            case: name,
            figures: {
              "jobs/s": median(perSecond),
              "of none": median(ofNone),
              least: Math.min(...ofNone),
              most: Math.max(...ofNone),
            },
          };
        }),
        { case: "limit, as a copy sends them", figures: { "of none": 0.95 } },
      ];
    } finally {
      await waker.stop();
      await writers.end();
      await store.stop();
    }
  },
};
