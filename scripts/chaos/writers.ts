import { setTimeout as pause } from "node:timers/promises";
import type { Pool } from "pg";
import { type Choices, seededChoices } from "./random";
import { tableName } from "./schedule";

const REST_MS = 150;

/** Changes every job's table at the source without end: inserts, updates, deletes, changed keys, large values, rollbacks. */
export class Writers {
  private stopping = false;
  private readonly work: readonly Promise<void>[];
  /** Transactions that are known to be committed. */
  committed = 0;

  constructor(source: Pool, jobs: number, seed: number) {
    this.work = Array.from({ length: jobs }, (_, job) =>
      this.write(source, tableName(job), seededChoices(seed + 1 + job)),
    );
  }

  /** Resolves when the last transaction is through. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.work);
  }

  private async write(source: Pool, table: string, choices: Choices): Promise<void> {
    while (!this.stopping) {
      const statements = Array.from({ length: choices.between(1, 4) }, () => change(table, choices));
      const end = choices.between(1, 8) === 1 ? "rollback" : "commit";
      // Closed under it, or the server starts again: whether it was committed, the source knows.
      await commit(source, `begin; ${statements.join("; ")}; ${end}`).then(
        () => {
          this.committed += 1;
        },
        () => undefined,
      );
      await pause(REST_MS);
    }
  }
}

async function commit(source: Pool, transaction: string): Promise<void> {
  const client = await source.connect();
  let broken = true;
  try {
    await client.query(transaction);
    broken = false;
  } finally {
    client.release(broken);
  }
}

function change(table: string, choices: Choices): string {
  const id = () => choices.between(1, 400);
  const text = () => `'${choices.between(1, 1e9).toString(36)}'`;
  const statements = [
    () =>
      `insert into ${table} (id, note, amount) values (${id()}, ${text()}, ${choices.next() * 1e6}) ` +
      "on conflict (id) do update set note = excluded.note, amount = excluded.amount",
    () => `update ${table} set note = ${text()}, ratio = random(), at = clock_timestamp() where id = ${id()}`,
    () => `update ${table} set note = ${text()} where id between ${id()} and ${id()}`,
    () =>
      `update ${table} set large = (select string_agg(md5(i::text || ${text()}), '') from generate_series(1, 120) i) ` +
      `where id = ${id()}`,
    () => `delete from ${table} where id = ${id()}`,
    () =>
      `update ${table} t set id = k.id from (select ${id()} as id) k where t.id = ${id()} ` +
      `and not exists (select from ${table} o where o.id = k.id)`,
  ];
  return choices.oneOf(statements)();
}
