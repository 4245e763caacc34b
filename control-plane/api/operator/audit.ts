import * as z from "zod";
import { findAuditTampering, listAudit } from "../../store/audit";
import type { ApiContext } from "../context";
import type { Call, Routes } from "../routes";
import { DEPLOYMENT, listing, ofAllDeployments, reachable } from "./reach";

export function addAuditRoutes(routes: Routes, api: ApiContext): void {
  addAuditOf(routes, api, `${DEPLOYMENT}/audit`, "a deployment", async (call) => await reachable(api, call));
  addAuditOf(routes, api, "/api/v1/audit", "what concerns all deployments", async ({ holder }) => {
    ofAllDeployments(holder);
    return null;
  });
}

function addAuditOf(
  routes: Routes,
  { pool }: ApiContext,
  path: string,
  of: string,
  scope: (call: Call<unknown>) => Promise<string | null>,
): void {
  routes.add({
    method: "get",
    path,
    summary: `Read the audit log of ${of}, oldest first, 500 entries after the one numbered by the query's \`after\``,
    token: "operator",
    answer: listing,
    handle: async (call) => {
      const after = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).catch(0).parse(call.query["after"]);
      return await listAudit(pool, await scope(call), after);
    },
  });
  routes.add({
    method: "get",
    path: `${path}/verify`,
    summary: `Verify the chain of the audit log of ${of}; gives the number of the first entry that does not fit`,
    token: "operator",
    answer: z.object({ tamperedAt: z.int().nullable() }),
    handle: async (call) => ({ tamperedAt: await findAuditTampering(pool, await scope(call)) }),
  });
}
