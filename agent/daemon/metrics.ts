import type { Lifecycle } from "./lifecycle";

/** One second of the daemon's life. */
export interface Sample {
  readonly timestamp: number;
  readonly events_per_second: number;
  readonly lag_bytes: bigint;
  readonly lag_events: number;
  readonly memory_bytes: number;
  readonly total_events_processed: number;
  readonly total_batches_sent: number;
  readonly cpu_millicores: number;
  readonly replication_lag_ms: number;
  readonly schema_evolution_skipped_total: number;
}

const PERIOD_MS = 1_000;

export interface Sampler {
  readonly latest: Sample;
  stop(): void;
}

/** Takes a sample every second. */
export function startSampler(lifecycle: Lifecycle): Sampler {
  let cpu = process.cpuUsage();
  let committed = lifecycle.committedChanges;
  let at = performance.now();
  const take = (): Sample => {
    const elapsedMs = Math.max(1, performance.now() - at);
    const used = process.cpuUsage(cpu);
    const changes = lifecycle.committedChanges - committed;
    [cpu, committed, at] = [process.cpuUsage(), lifecycle.committedChanges, performance.now()];
    const behind = lifecycle.sourceLsn - lifecycle.confirmedLsn;
    return {
      timestamp: Math.floor(Date.now() / 1000),
      events_per_second: (changes * 1000) / elapsedMs,
      lag_bytes: behind > 0n ? behind : 0n,
      lag_events: lifecycle.pendingChanges,
      memory_bytes: process.memoryUsage.rss(),
      total_events_processed: lifecycle.committedChanges,
      total_batches_sent: lifecycle.committedBatches,
      cpu_millicores: Math.round((used.user + used.system) / elapsedMs),
      replication_lag_ms: lifecycle.pendingChanges > 0 ? Math.max(0, Date.now() - lifecycle.pendingSinceMs) : 0,
      // A change of schema that the sink cannot take stops the daemon; none is skipped.
      schema_evolution_skipped_total: 0,
    };
  };
  let latest = take();
  const timer = setInterval(() => {
    latest = take();
  }, PERIOD_MS);
  return {
    get latest() {
      return latest;
    },
    stop: () => clearInterval(timer),
  };
}
