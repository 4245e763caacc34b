/** Acting on what queries will answer before they have. */
import type { Prepared, Queryable, Transaction } from "./database";

/** What a query will be answered with, if nobody else has changed anything meanwhile. */
interface Answer {
  /** One that stands here several times is one. */
  readonly rows: readonly { readonly id: string }[];
  /** What is written fails by itself where the answer is another. */
  readonly isImplied?: true;
}

export type Foreseen = ReadonlyMap<Prepared, Answer>;

/**
 * Answers queries with what is foreseen, at once. The database is asked nevertheless, in the same order and with the same locks, and
 * fails the transaction where it has another answer: what comes of the answers can travel with the questions, and so can the commit.
 */
export function answeringAsForeseen(tx: Transaction, foreseen: Foreseen): Queryable {
  return {
    query: async (statement, values = []) => {
      const answer = typeof statement === "string" ? undefined : foreseen.get(statement);
      if (typeof statement === "string" || !answer) throw new Error("nobody has foreseen what a query will answer");
      const byId = new Map(answer.rows.map((row) => [row.id, row]));
      const rows = [...byId.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
      if (!answer.isImplied) void tx.send(mustBeForeseen(statement, values.length), [...values, JSON.stringify(rows)]);
      return { rows: rows as never[], rowCount: rows.length };
    },
  };
}

const mustBeForeseen = ({ name, text }: Prepared, parameters: number): Prepared => ({
  name: `${name}-foreseen`,
  text: `select must_be_foreseen(jsonb_agg(to_jsonb(answer) order by answer.id), $${parameters + 1}) from (${text}) answer`,
});
