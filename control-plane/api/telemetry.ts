import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Pool } from "pg";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { publicQuestion } from "./public-question";

/** Of the whole control plane. */
const OF_DATABASE: Readonly<Record<string, { readonly help: string; readonly label: string; readonly sql: string }>> = {
  holdfast_jobs: {
    help: "Jobs by state",
    label: "state",
    sql: "select state as label, count(*) as value from jobs group by state",
  },
  holdfast_sessions: {
    help: "Open sessions by whether their lease is valid",
    label: "lease",
    sql: `select case when expires_at > now() then 'valid' else 'expired' end as label, count(*) as value from leases group by 1`,
  },
  holdfast_oldest_transaction_seconds: {
    help: "Age of the oldest transaction that keeps vacuum from every table, by state of its connection",
    label: "state",
    sql: `select coalesce(state, 'none') as label, extract(epoch from max(now() - xact_start)) as value
      from pg_stat_activity where backend_xid is not null or backend_xmin is not null group by 1`,
  },
};

interface Figure {
  readonly name: string;
  readonly label: string;
  readonly value: number;
}

const FIGURES = Object.entries(OF_DATABASE)
  .map(([name, { sql }]) => `select '${name}' as name, label::text, value::float from (${sql}) as ${name}`)
  .join(" union all ");

/**
 * What Prometheus reads. Figures of the database are read when asked for, with one statement, and shared by those who ask within a second;
 * where it does not answer, those of this process are told all the same.
 */
export class Telemetry {
  readonly registry = new Registry();
  private readonly requests = new Histogram({
    name: "holdfast_request_seconds",
    help: "Time to answer a request, by route and status; of a claim with the time that it is parked",
    labelNames: ["route", "status"],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [this.registry],
  });
  private readonly claims = new Counter({
    name: "holdfast_claimed_jobs_total",
    help: "Jobs granted to workers by this copy, each grant once, however often its claim is repeated",
    registers: [this.registry],
  });
  private readonly moved = new Counter({
    name: "holdfast_swept_jobs_total",
    help: "Jobs taken from silent workers, and grants taken back, by this copy",
    registers: [this.registry],
  });

  constructor(pool: Pool, parkedClaims: () => number) {
    const read = publicQuestion(async () => (await pool.query<Figure>(FIGURES)).rows);
    for (const [name, { help, label }] of Object.entries(OF_DATABASE)) {
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers: [this.registry],
        async collect() {
          const figures = await read();
          this.reset();
          for (const figure of figures ?? [])
            if (figure.name === name) this.set({ [label]: figure.label }, figure.value);
        },
      });
    }
    new Gauge({
      name: "holdfast_database_up",
      help: "1 where the database has told its figures; 0 where it has not, and they are missing",
      registers: [this.registry],
      async collect() {
        this.set((await read()) ? 1 : 0);
      },
    });
    new Gauge({
      name: "holdfast_parked_claims",
      help: "Claims that wait for work, or for orders alone, at this copy",
      registers: [this.registry],
      collect() {
        this.set(parkedClaims());
      },
    });
    const stalls = monitorEventLoopDelay({ resolution: 25 });
    stalls.enable();
    new Gauge({
      name: "holdfast_event_loop_stall_seconds",
      help: "Longest that this copy answered nobody since this was last asked for; 0.025 at rest",
      registers: [this.registry],
      collect() {
        this.set(stalls.max / 1e9);
        stalls.reset();
      },
    });
  }

  answered(route: string, status: number, seconds: number): void {
    this.requests.observe({ route, status: `${status}` }, seconds);
  }

  claimed(jobs: number): void {
    this.claims.inc(jobs);
  }

  swept(jobs: number): void {
    this.moved.inc(jobs);
  }
}
