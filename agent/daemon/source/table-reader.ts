import type { Connection } from "../connection";
import { quoted } from "../identifier";
import type { Row } from "../sink/write-rows";
import { keyColumns, type ReplicatedTable } from "../table";

/** A chunk has no more characters than this, but for those of the last rows that were fetched. */
const MAX_CHUNK_CHARACTERS = 32 * 1024 * 1024;
/** So much is fetched at a time, by the size of the rows before, and so few rows where that is not known. */
const FETCH_CHARACTERS = 4 * 1024 * 1024;
const FIRST_FETCH_ROWS = 100;

export interface TableReader {
  /** The next rows along the primary key; with fewer than asked for unless they are wide. */
  next(maxRows: number): Promise<{ readonly rows: readonly Row[]; readonly isLast: boolean }>;
}

/**
 * Reads a table along its primary key.
 *
 * @param source in a transaction, which has no other reader.
 * @param after the key of the row before the first; null for none.
 */
export async function readTable(
  source: Connection,
  table: ReplicatedTable,
  after: readonly string[] | null,
): Promise<TableReader> {
  const key = keyColumns(table);
  const start = key.map((_, place) => `$${place + 1}::${table.columns[table.key[place] ?? 0]?.type}`);
  await source.query(
    `declare rows_to_copy no scroll cursor for
       select ${table.columns.map(({ name }) => quoted(name)).join(", ")} from ${table.sourceRows}
       ${after ? `where (${key.join(", ")}) > (${start.join(", ")})` : ""} order by ${key.join(", ")}`,
    [...(after ?? [])],
  );
  let fetchRows = FIRST_FETCH_ROWS;
  const fetch = async (rows: number): Promise<Row[]> => {
    const fetched = await source.query<(string | null)[]>({
      text: `fetch ${rows} from rows_to_copy`,
      rowMode: "array",
    });
    return fetched.rows;
  };
  return {
    next: async (maxRows) => {
      const rows: Row[] = [];
      let characters = 0;
      while (rows.length < maxRows && characters < MAX_CHUNK_CHARACTERS) {
        const wanted = Math.min(fetchRows, maxRows - rows.length);
        const fetched = await fetch(wanted);
        const size = fetched.reduce((sum, row) => sum + sizeOf(row), 0);
        rows.push(...fetched);
        characters += size;
        if (fetched.length < wanted) {
          await source.query("close rows_to_copy");
          return { rows, isLast: true };
        }
        // Rows may become wider than those before.
        const fitting = Math.floor((FETCH_CHARACTERS * fetched.length) / Math.max(1, size));
        fetchRows = Math.min(Math.max(1, fitting), 2 * fetchRows);
      }
      return { rows, isLast: false };
    },
  };
}

function sizeOf(row: Row): number {
  return row.reduce((sum, value) => sum + (value?.length ?? 0), 0);
}
