/** How lists are read in parts. */
import * as z from "zod";
import type { Page } from "../../store/inventory";
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

/** The part of a list that a query asks for. @throws RequestRefused for one that cannot be */
export function pageOf({ query }: Pick<Call<unknown>, "query">, asked: typeof PageQuery | typeof PageByIdQuery): Page {
  const page = asked.safeParse(query);
  if (page.success) return page.data;
  const [issue] = page.error.issues;
  throw new RequestRefused(400, "invalid_message", `${issue?.path.join(".")}: ${issue?.message}`);
}
