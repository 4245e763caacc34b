import * as z from "zod";
import { listAudit } from "../../store/audit";
import { type ChainLink, verifyAudit } from "../../store/verify-audit";
import type { ApiContext } from "../context";
import { RequestRefused } from "../refusal";
import type { Call, Routes } from "../routes";
import { PageByNumberQuery, pageOf } from "./page";
import { DEPLOYMENT, listing, ofAllDeployments, reachable } from "./reach";

/** With `tamperedAt` it is the last word. Without, the chain is whole so far, and `next` is to be asked for. */
const Verification = z.object({
  tamperedAt: z.int().nullable().optional(),
  /** Numbers of the last entry that was read, and of the newest. */
  upTo: z.int().optional(),
  newest: z.int().optional(),
  next: z.string().optional(),
});

const VerificationQuery = z.object({
  /** What the part before was answered with. */
  next: z.string().optional(),
});

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
    summary: `Read the audit log of ${of}, oldest first`,
    token: "operator",
    query: PageByNumberQuery,
    answer: listing,
    handle: async (call) => await listAudit(pool, await scope(call), pageOf(call, PageByNumberQuery)),
  });
  routes.add({
    method: "get",
    path: `${path}/verify`,
    summary: `Verify the chain of the audit log of ${of}, part by part; gives the number of the first entry that does not fit, or the \`next\` that a query goes on with`,
    token: "operator",
    query: VerificationQuery,
    answer: Verification,
    handle: async (call) => {
      const verified = await verifyAudit(pool, await scope(call), linkOf(call.query["next"]));
      if ("tamperedAt" in verified) return verified;
      const { upTo, newest } = verified;
      return { upTo: upTo.seq, newest, next: `${upTo.seq}.${upTo.hash}` };
    },
  });
}

/** @throws RequestRefused for what no part was answered with */
function linkOf(next: string | undefined): ChainLink | undefined {
  if (next === undefined) return undefined;
  const [, seq, hash = ""] = /^(\d{1,15})\.([0-9a-f]{64})$/.exec(next) ?? [];
  if (seq === undefined) {
    throw new RequestRefused(400, "invalid_message", "next: write what the part before was answered with");
  }
  return { seq: Number(seq), hash };
}
