/** How lists are read in parts. */
import * as z from "zod";
import type { Queryable } from "../../store/database";
import { isListed, type ListById, type Page } from "../../store/inventory";
import { RequestRefused } from "../refusal";
import { type Call, uuid } from "../routes";

/** Most that one answer holds; what is asked for where nothing is said. */
const MOST = 1_000;
const USUAL = 500;

/** What a list's query says. The list is at its end where fewer than `limit` come. */
export const PageQuery = z.object({
  /** What the list is in the order of (its entries' name, a worker's id), of the last entry of the part before. */
  after: z.string().max(256).default(""),
  limit: z.coerce.number().int().min(1).max(MOST).default(USUAL),
});

/** Of a list in the order in which its entries were made: `after` is the id of the last entry of the part before. */
export const PageByIdQuery = PageQuery.extend({ after: z.literal("").or(uuid).default("") });

/** Of a list whose entries are numbered from 1 on: `after` is the number of the last entry of the part before. */
export const PageByNumberQuery = PageQuery.extend({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
});

/** The part of a list that a query asks for. @throws RequestRefused for one that cannot be */
export function pageOf<Part>({ query }: Pick<Call<unknown>, "query">, asked: z.ZodType<Part>): Part {
  const page = asked.safeParse(query);
  if (page.success) return page.data;
  const [issue] = page.error.issues;
  throw refused(`${issue?.path.join(".")}: ${issue?.message}`);
}

/**
 * The part of a list by ids that a query asks for.
 *
 * @throws RequestRefused for one that cannot be, and where it is to come after an entry that is not there: it would seem to be the list's end
 */
export async function pageByIdOf(
  { query }: Pick<Call<unknown>, "query">,
  db: Queryable,
  list: ListById,
  deploymentId: string | null,
): Promise<Page> {
  const page = pageOf({ query }, PageByIdQuery);
  if (page.after === "" || (await isListed(db, list, deploymentId, page.after))) return page;
  throw refused("after: the list has no such entry, or has it no more: read it from its start");
}

const refused = (why: string): RequestRefused => new RequestRefused(400, "invalid_message", why);
