import { setTimeout as pause } from "node:timers/promises";
import type { Prepared, Queryable } from "./database";

/** Whoever began a transaction this long ago may put in jobs that were ready before the floor: the next look finds them. */
const SLACK = "interval '5 seconds'";
/** Between two looks at all jobs that are ready; longer where one takes long, so that looking costs two per cent of its time. */
const LOOK_MS = 1_000;
const REST = 50;

const LOOK: Prepared = {
  name: "ready-floor",
  text: `
    select deployment_id as "deploymentId", pool, least(min(not_before), now() - ${SLACK})::text as floor
    from ready_jobs group by deployment_id, pool
    union all select null, null, (now() - ${SLACK})::text`,
};

/**
 * Since when the jobs have been ready that claims look for. Vacuum keeps all rows that claims have deleted while any transaction is open
 * that began before, and each claim would step over every one of them: those from before the floor it passes by in the index.
 */
export class ReadyFloor {
  private floors: ReadonlyMap<string, string> = new Map();
  private elsewhere = "-infinity";
  private readonly stopping = new AbortController();
  private looking: Promise<void> = Promise.resolve();

  constructor(private readonly db: Queryable) {}

  /** A time, as PostgreSQL reads it. */
  of(deploymentId: string, pool: string): string {
    return this.floors.get(keyOf(deploymentId, pool)) ?? this.elsewhere;
  }

  start(): void {
    this.looking = this.lookOnAndOn();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.looking;
  }

  private async lookOnAndOn(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const at = performance.now();
      await this.look();
      const restMs = Math.max(LOOK_MS, REST * (performance.now() - at));
      await pause(restMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Where the database does not say, nothing is passed by. */
  private async look(): Promise<void> {
    try {
      const { rows } = await this.db.query<{ deploymentId: string | null; pool: string | null; floor: string }>(LOOK);
      this.floors = new Map(
        rows.flatMap(({ deploymentId, pool, floor }) =>
          deploymentId !== null && pool !== null ? [[keyOf(deploymentId, pool), floor]] : [],
        ),
      );
      this.elsewhere = rows.find(({ pool }) => pool === null)?.floor ?? "-infinity";
    } catch {
      this.floors = new Map();
      this.elsewhere = "-infinity";
    }
  }
}

const keyOf = (deploymentId: string, pool: string): string => `${deploymentId}/${pool}`;
