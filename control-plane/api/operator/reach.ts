/** What an operator's token reaches, and how what it does is signed and refused. */
import * as z from "zod";
import { CatalogConflict } from "../../store/catalog";
import type { TokenHolder } from "../../store/tokens";
import type { ApiContext } from "../context";
import { RequestRefused } from "../refusal";
import type { Call } from "../routes";

/** Where all that belongs to one deployment lives. */
export const DEPLOYMENT = "/api/v1/deployments/{deploymentId}";

export const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "letters, digits, dots, dashes, underscores; at most 128");
export const text = z.string().max(4096);
export const optionKey = z.string().max(128);
export const settings = z.record(optionKey, text).default({});
export const withId = z.object({ id: z.uuid() });
export const done = z.object({});
export const entry = z.record(z.string(), z.unknown());
export const listing = z.array(entry);

/** For the audit log. */
export const actorOf = ({ tokenId }: TokenHolder): string => `operator:${tokenId}`;

export const notFound = (what: string, id: string): RequestRefused =>
  new RequestRefused(404, "not_found", `there is no ${what} ${id} in the deployment`);

/** The deployment of the path, if it exists and the token reaches it. A foreign one looks like one that does not exist. */
export async function reachable({ hasDeployment }: ApiContext, { holder, params }: Call<unknown>): Promise<string> {
  const id = params["deploymentId"] ?? "";
  const isKnown = holder.deploymentId ? holder.deploymentId === id : await hasDeployment(id);
  if (!isKnown) throw new RequestRefused(404, "not_found", `there is no deployment ${id}`);
  return id;
}

/** Refuses an operator of one deployment where all are concerned. */
export function ofAllDeployments({ deploymentId }: TokenHolder): void {
  if (deploymentId) throw new RequestRefused(403, "token_scope", "the token belongs to one deployment");
}

/** What is taken, still in use or missing is answered with 409. */
export async function conflictsRefused<T>(work: Promise<T>): Promise<T> {
  return await work.catch((error: unknown) => {
    throw error instanceof CatalogConflict ? new RequestRefused(409, "conflict", error.message) : error;
  });
}
