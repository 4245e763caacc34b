import type { Connection } from "../connection";
import { COPY_AGAIN, SetupError } from "../failure";
import type { ReplicatedTable } from "../table";
import { deleteRows, type Key, keyOf, type Row, readRow, updateRows, upsertRows } from "./write-rows";

/** What a table's rows have become: a row, a row with parts left out, or nothing. */
type Outcome = { readonly key: Key; readonly row: Row | undefined };

interface TableChanges {
  readonly table: ReplicatedTable;
  readonly byKey: Map<string, Outcome>;
}

/** Where the values come from that the log leaves out, and that are not in the sink under the row's key either. */
export interface LeftOutValues {
  /** The row of the source as it is now. */
  fromSource(table: ReplicatedTable, key: Key): Promise<Row | undefined>;
  /** Rows of the sink may be newer than the change at hand, since their snapshot was. */
  catchingUp(): boolean;
}

/** Why a change cannot be written that does not say the primary key of its row. */
export function unknownRow({ name }: ReplicatedTable): SetupError {
  return new SetupError(
    `the log has changes of ${name.label} without its primary key, from a time when it had another one or its replica identity did not log it: ` +
      `which rows they change is lost. Drop the slot, ${COPY_AGAIN}`,
  );
}

/**
 * Changes in the order of the log, folded to one outcome per row, so that a batch costs a few statements however often a row changed.
 *
 * Folding and writing are idempotent on purpose. While a resumed snapshot is ahead of the log, every change is repeated on rows
 * that have seen it; each sets its row to what it says, and the last one is right. The one thing that cannot be repeated is to move
 * a value the log leaves out from an old key to a new one: then it is read from the source, where it is as new as the snapshot or
 * followed by a change that is still to come.
 *
 * Each change throws what `unknownRow` returns if its row's key is not whole.
 */
export class NetChanges {
  private readonly tables = new Map<string, TableChanges>();
  /** Changes folded since the last write. */
  changes = 0;
  /** Characters that the outcomes hold, about. */
  characters = 0;

  constructor(
    private readonly sink: Connection,
    /** Opens the sink's transaction, unless it is open. */
    private readonly begin: () => Promise<void>,
    private readonly leftOut: LeftOutValues,
  ) {}

  async put(table: ReplicatedTable, row: Row): Promise<void> {
    const key = keyOf(table, row);
    const id = idOf(table, key);
    let known = this.of(table).byKey.get(id);
    if (known && !known.row && !isWhole(row)) {
      // An update of a row that the source has lost again since: it must not find the row that was deleted before it.
      await this.write();
      known = undefined;
    }
    const merged = known?.row ? row.map((value, index) => (value === undefined ? known.row?.[index] : value)) : row;
    this.of(table).byKey.set(id, { key, row: merged });
    this.count(row);
  }

  remove(table: ReplicatedTable, key: Key): void {
    this.of(table).byKey.set(idOf(table, key), { key, row: undefined });
    this.count(key);
  }

  /** A row whose primary key changed. */
  async move(table: ReplicatedTable, from: Key, row: Row): Promise<void> {
    const whole = isWhole(row) ? row : await this.complete(table, from, row);
    this.remove(table, from);
    if (whole) await this.put(table, whole);
  }

  async truncate(tables: readonly ReplicatedTable[]): Promise<void> {
    for (const table of tables) this.tables.delete(table.source);
    await this.begin();
    if (tables.length > 0) await this.sink.query(`truncate ${tables.map(({ sink }) => sink).join(", ")}`);
  }

  /** Writes the outcomes into the sink's transaction, which stays open. */
  async write(): Promise<void> {
    await this.begin();
    for (const { table, byKey } of this.tables.values()) {
      const removed: Key[] = [];
      const whole: Row[] = [];
      const partial: Row[] = [];
      for (const { key, row } of byKey.values()) {
        if (!row) removed.push(key);
        else if (isWhole(row)) whole.push(row);
        else partial.push(row);
      }
      await deleteRows(this.sink, table, removed);
      await upsertRows(this.sink, table, whole);
      const missing = await updateRows(this.sink, table, partial);
      const found: Row[] = [];
      for (const row of missing) {
        const now = await this.leftOut.fromSource(table, keyOf(table, row));
        // Gone from the source: its deletion is still to come.
        if (now) found.push(filled(row, now));
      }
      await upsertRows(this.sink, table, found);
    }
    this.clear();
  }

  clear(): void {
    this.tables.clear();
    this.changes = 0;
    this.characters = 0;
  }

  private async complete(table: ReplicatedTable, from: Key, row: Row): Promise<Row | undefined> {
    const known = this.of(table).byKey.get(JSON.stringify(from));
    if (known?.row && isWhole(known.row)) return filled(row, known.row);
    if (!this.leftOut.catchingUp()) {
      await this.write();
      const old = await readRow(this.sink, "sink", table, from);
      if (old) return filled(row, old);
    }
    const now = await this.leftOut.fromSource(table, keyOf(table, row));
    return now && filled(row, now);
  }

  private of(table: ReplicatedTable): TableChanges {
    let changes = this.tables.get(table.source);
    if (!changes) {
      changes = { table, byKey: new Map() };
      this.tables.set(table.source, changes);
    }
    return changes;
  }

  private count(values: Row): void {
    this.changes += 1;
    for (const value of values) this.characters += value?.length ?? 0;
  }
}

function idOf(table: ReplicatedTable, key: Key): string {
  if (key.includes(undefined)) throw unknownRow(table);
  return JSON.stringify(key);
}

function isWhole(row: Row): boolean {
  return !row.includes(undefined);
}

function filled(row: Row, from: Row): Row {
  return row.map((value, index) => (value === undefined ? (from[index] ?? null) : value));
}
