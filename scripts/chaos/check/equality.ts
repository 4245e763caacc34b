import type { Pool } from "pg";

/** A row by its key, with all its columns as the server writes them. */
export interface KeyedRow {
  readonly id: number;
  readonly row: string;
}

export interface TableComparison {
  readonly table: string;
  readonly sourceRows: number;
  readonly sinkRows: number;
  /** The first rows that differ, in words; empty when every row is equal. */
  readonly differences: readonly string[];
}

/** What is shown of a row, and how many rows are. */
const SHOWN_CHARACTERS = 120;
const SHOWN_ROWS = 5;

/** Compares what both servers hold now, row by row. */
export async function compareTables(source: Pool, sink: Pool, table: string): Promise<TableComparison> {
  const [there, here] = await Promise.all([readRows(source, table), readRows(sink, table)]);
  return compareRows(table, there, here);
}

export function compareRows(table: string, source: readonly KeyedRow[], sink: readonly KeyedRow[]): TableComparison {
  const inSink = new Map(sink.map(({ id, row }) => [id, row]));
  const inSource = new Set(source.map(({ id }) => id));
  const differences: string[] = [];
  for (const { id, row } of source) {
    const copy = inSink.get(id);
    if (copy === undefined) differences.push(`${table} ${id} is not in the sink`);
    else if (copy !== row) differences.push(`${table} ${id}: source ${shown(row)}, sink ${shown(copy)}`);
  }
  for (const { id } of sink) {
    if (!inSource.has(id)) differences.push(`${table} ${id} is in the sink alone`);
  }
  if (inSink.size !== sink.length) differences.push(`${table} has keys that are in the sink more than once`);
  const more = differences.length - SHOWN_ROWS;
  return {
    table,
    sourceRows: source.length,
    sinkRows: sink.length,
    differences: [...differences.slice(0, SHOWN_ROWS), ...(more > 0 ? [`${table}: and ${more} more`] : [])],
  };
}

async function readRows(pool: Pool, table: string): Promise<KeyedRow[]> {
  const { rows } = await pool.query<KeyedRow>(`select id, t::text as row from public.${table} t order by id`);
  return rows;
}

const shown = (row: string): string => (row.length > SHOWN_CHARACTERS ? `${row.slice(0, SHOWN_CHARACTERS)}…` : row);
