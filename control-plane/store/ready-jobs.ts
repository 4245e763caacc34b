import type { Placement } from "../lease/placement";
import type { Prepared, Queryable } from "./database";

/** Jobs that may be claimed now and need the same of a worker. */
export interface ReadyGroup extends Placement {
  readonly jobs: number;
}

/** A job that comes of a transaction which takes longer may have been ready before the floor: the next look at all finds it. */
const SLACK = "interval '1 second'";
const EVER = "-infinity";

/** The last row is for every pool in which nothing is ready. */
export const READY: Prepared = {
  name: "ready-jobs",
  text: `
    select deployment_id as "deploymentId", pool, labels, count(*) filter (where not_before <= now()) as jobs,
      (min(least(min(not_before), now() - ${SLACK})) over (partition by deployment_id, pool))::text as floor
    from ready_jobs where not_before >= (select min(since) from unnest($1::timestamptz[]) since)
    group by deployment_id, pool, labels
    union all select null, '', '{}', 0, (now() - ${SLACK})::text`,
};

interface Row extends ReadyGroup, Record<string, unknown> {
  readonly floor: string;
}

/**
 * What is ready, and since when. Vacuum keeps all rows that claims have deleted while any transaction is open that began before, and who
 * looks for jobs would step over every one of them: those from before a pool's floor are passed by in the index.
 */
export class ReadyJobs {
  private floors: ReadonlyMap<string, string> = new Map();
  private elsewhere = EVER;

  constructor(private readonly db: Queryable) {}

  /** A time, as PostgreSQL reads it: what is ready in the pool has become so since. */
  floor(placement: Placement): string {
    return this.floors.get(poolOf(placement)) ?? this.elsewhere;
  }

  /** Reads what has become ready since the floors. */
  async read(): Promise<ReadyGroup[]> {
    return groupsOf(await this.rowsSince([...this.floors.values(), this.elsewhere]));
  }

  /** Reads all that is ready, and raises the floors. Where the database does not answer they fall: nothing is passed by. */
  async readAll(): Promise<ReadyGroup[]> {
    const rows = await this.rowsSince([EVER]).catch((error: Error) => {
      this.floors = new Map();
      this.elsewhere = EVER;
      throw error;
    });
    this.floors = new Map(rows.filter(isGroup).map((row) => [poolOf(row), row.floor]));
    this.elsewhere = rows.find((row) => !isGroup(row))?.floor ?? EVER;
    return groupsOf(rows);
  }

  private async rowsSince(times: readonly string[]): Promise<Row[]> {
    return (await this.db.query<Row>(READY, [times])).rows;
  }
}

const isGroup = ({ deploymentId }: Row): boolean => deploymentId !== null;
const groupsOf = (rows: readonly Row[]): ReadyGroup[] => rows.filter((row) => isGroup(row) && row.jobs > 0);
const poolOf = ({ deploymentId, pool }: Placement): string => `${deploymentId}/${pool}`;
