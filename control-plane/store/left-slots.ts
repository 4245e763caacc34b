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

interface Row {
  id: string;
  options: Record<string, string>;
  source: string;
  engine: string;
  source_options: Record<string, string>;
  sink_options: Record<string, string>;
}

/** By job, the slots that may be left of these: of those that were granted at least once and whose source is PostgreSQL. */
export async function readLeftSlots(db: Queryable, ids: readonly string[]): Promise<ReadonlyMap<string, LeftSlot>> {
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

/** Entries of the audit log, those of jobs that are deleted without a worker having cleaned up with the slot that may be left. */
export async function tellLeftSlots(
  db: Queryable,
  jobs: Iterable<Became>,
  entries: readonly AuditEntry[],
): Promise<readonly AuditEntry[]> {
  const deleted = [...jobs].filter(({ next, end }) => next.state === "deleted" && !end?.cleaned);
  if (deleted.length === 0) return entries;
  const left = await readLeftSlots(
    db,
    deleted.map(({ id }) => id),
  );
  return entries.map((entry) => ({ ...entry, detail: { ...entry.detail, leftSlot: left.get(entry.subject) } }));
}
