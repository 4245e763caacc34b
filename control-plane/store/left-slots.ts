import type { JobState } from "../lease/job";
import { dropOfSlot, replicationSlotOf } from "../protocol/replication-slot";
import type { AuditEntry } from "./audit";
import type { Queryable } from "./database";

/** A replication slot that may be left in the source of a job that no worker cleaned up after: the control plane does not reach it. */
export interface LeftSlot {
  readonly slot: string;
  /** Name of the datasource that is the job's source. */
  readonly source: string;
  /** The statement that removes it, to be run there. */
  readonly drop: string;
}

/** By the job's id. */
export type LeftSlots = ReadonlyMap<string, LeftSlot>;

interface Row {
  id: string;
  options: Record<string, string>;
  source: string;
  engine: string;
  source_options: Record<string, string>;
  sink_options: Record<string, string>;
}

/** Of those that were granted at least once and whose source is PostgreSQL. */
async function readLeftSlots(db: Queryable, ids: readonly string[]): Promise<LeftSlots> {
  if (ids.length === 0) return new Map();
  const { rows } = await db.query<Row>(
    `select j.id, j.options, source.name as source, source.engine, source.options as source_options, sink.options as sink_options
     from jobs j join datasources source on source.id = j.source_id join datasources sink on sink.id = j.sink_id
     where j.id = any($1) and j.fence > 0`,
    [ids],
  );
  const left = new Map<string, LeftSlot>();
  for (const { id, options, source, engine, source_options, sink_options } of rows) {
    const slot = replicationSlotOf(id, {
      source: { engine, options: source_options },
      sink: { options: sink_options },
      options,
    });
    if (slot !== undefined) left.set(id, { slot, source, drop: dropOfSlot(slot) });
  }
  return left;
}

/** What became of a job. */
interface Became {
  readonly id: string;
  readonly next: { readonly state: JobState };
  /** What its worker told of its end, if it did. */
  readonly end?: { readonly cleaned: boolean } | undefined;
}

/** The slots that may be left of those jobs that are deleted without a worker having cleaned up. */
export async function readSlotsLeftBy(db: Queryable, jobs: Iterable<Became>): Promise<LeftSlots> {
  const deleted = [...jobs].filter(({ next, end }) => next.state === "deleted" && !end?.cleaned);
  return await readLeftSlots(
    db,
    deleted.map(({ id }) => id),
  );
}

/** Entries of the audit log, those of jobs that left a slot with it. */
export function tellLeftSlots(left: LeftSlots, entries: readonly AuditEntry[]): readonly AuditEntry[] {
  if (left.size === 0) return entries;
  return entries.map((entry) => ({ ...entry, detail: { ...entry.detail, leftSlot: left.get(entry.subject) } }));
}
