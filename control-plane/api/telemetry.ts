import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Pool } from "pg";
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** What Prometheus reads. Figures of the whole control plane are read from the database when asked for. */
export class Telemetry {
  readonly registry = new Registry();
  private readonly requests = new Histogram({
    name: "holdfast_request_seconds",
    help: "Time to answer a request, by route and status; parked claims apart",
    labelNames: ["route", "status"],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [this.registry],
  });
  private readonly claims = new Counter({
    name: "holdfast_claimed_jobs_total",
    help: "Jobs granted to workers by this copy",
    registers: [this.registry],
  });
  private readonly moved = new Counter({
    name: "holdfast_swept_jobs_total",
    help: "Jobs taken from silent workers, and grants taken back, by this copy",
    registers: [this.registry],
  });

  constructor(pool: Pool, parkedClaims: () => number) {
    const gauge = (name: string, help: string, label: string, sql: string): void => {
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers: [this.registry],
        async collect() {
          const { rows } = await pool.query<{ label: string; value: number }>(sql);
          this.reset();
          for (const row of rows) this.set({ [label]: row.label }, row.value);
        },
      });
    };
    gauge(
      "holdfast_jobs",
      "Jobs by state",
      "state",
      "select state as label, count(*) as value from jobs group by state",
    );
    gauge(
      "holdfast_sessions",
      "Open sessions by whether their lease is valid",
      "lease",
      `select case when expires_at > now() then 'valid' else 'expired' end as label, count(*) as value from leases group by 1`,
    );
    gauge(
      "holdfast_oldest_transaction_seconds",
      "Age of the oldest transaction that keeps vacuum from every table, by state of its connection",
      "state",
      `select coalesce(state, 'none') as label, extract(epoch from max(now() - xact_start))::float as value
       from pg_stat_activity where backend_xid is not null or backend_xmin is not null group by 1`,
    );
    new Gauge({
      name: "holdfast_parked_claims",
      help: "Claims that wait for work at this copy",
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
