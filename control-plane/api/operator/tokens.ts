import * as z from "zod";
import { recordAudit } from "../../store/audit";
import { transaction } from "../../store/database";
import { issueToken, listTokens, revokeToken, rotateToken } from "../../store/tokens";
import type { ApiContext } from "../context";
import type { Call, Routes } from "../routes";
import { PageByIdQuery, pageByIdOf } from "./page";
import { actorOf, DEPLOYMENT, done, listing, notFound, ofAllDeployments, reachable } from "./reach";

const MAX_LIFE_MS = 315_576_000_000;

const NewToken = z.strictObject({
  kind: z.enum(["deployment", "operator"]),
  expiresInMs: z.int().min(1_000).max(MAX_LIFE_MS).optional(),
});
const NewOperatorToken = NewToken.omit({ kind: true });
const Rotation = z.strictObject({
  /** How long the old token is still taken. */
  overlapMs: z.int().min(0).max(MAX_LIFE_MS).default(3_600_000),
});

const issued = z.object({ id: z.uuid(), token: z.string() });

export function addTokenRoutes(routes: Routes, api: ApiContext): void {
  addTokensOf(routes, api, {
    path: `${DEPLOYMENT}/tokens`,
    of: "a deployment",
    body: NewToken,
    scope: async (call) => await reachable(api, call),
  });
  addTokensOf(routes, api, {
    path: "/api/v1/tokens",
    of: "operators of all deployments",
    body: NewOperatorToken,
    scope: async ({ holder }) => {
      ofAllDeployments(holder);
      return null;
    },
  });
}

interface TokenScope {
  readonly path: string;
  readonly of: string;
  readonly body: typeof NewToken | typeof NewOperatorToken;
  /** The deployment whose tokens these are; null for operators of all. Refuses whom they do not concern. */
  readonly scope: (call: Call<unknown>) => Promise<string | null>;
}

function addTokensOf(routes: Routes, { pool }: ApiContext, { path, of, body, scope }: TokenScope): void {
  routes.add({
    method: "post",
    path,
    summary: `Issue a token of ${of}; it is shown this once`,
    token: "operator",
    body,
    answer: issued,
    handle: async (call) => {
      const deploymentId = await scope(call);
      const { kind = "operator", expiresInMs } = call.body as Partial<z.output<typeof NewToken>>;
      return await transaction(pool, async (tx) => {
        const token = await issueToken(tx, {
          kind,
          deploymentId,
          ...(expiresInMs !== undefined && { expiresInMs }),
        });
        recordAudit(tx, {
          deploymentId,
          actor: actorOf(call.holder),
          action: "token.issue",
          subject: token.id,
          detail: { kind },
        });
        return token;
      });
    },
  });
  routes.add({
    method: "get",
    path,
    summary: `List valid tokens of ${of}, oldest first, never the tokens themselves`,
    token: "operator",
    query: PageByIdQuery,
    answer: listing,
    handle: async (call) => {
      const deploymentId = await scope(call);
      return await listTokens(pool, deploymentId, await pageByIdOf(call, pool, "tokens", deploymentId));
    },
  });
  routes.add({
    method: "post",
    path: `${path}/{tokenId}/rotate`,
    summary: `Issue a token in place of one of ${of}, which ends after an overlap`,
    token: "operator",
    body: Rotation,
    answer: issued,
    handle: async (call) => {
      const deploymentId = await scope(call);
      const tokenId = call.params["tokenId"] ?? "";
      return await transaction(pool, async (tx) => {
        const next = await rotateToken(tx, tokenId, deploymentId, call.body.overlapMs);
        if (!next) throw notFound("valid token", tokenId);
        recordAudit(tx, {
          deploymentId,
          actor: actorOf(call.holder),
          action: "token.rotate",
          subject: tokenId,
          detail: { next: next.id, overlapMs: call.body.overlapMs },
        });
        return next;
      });
    },
  });
  routes.add({
    method: "delete",
    path: `${path}/{tokenId}`,
    summary: `Revoke a token of ${of}`,
    token: "operator",
    answer: done,
    handle: async (call) => {
      const deploymentId = await scope(call);
      const tokenId = call.params["tokenId"] ?? "";
      await transaction(pool, async (tx) => {
        if (!(await revokeToken(tx, tokenId, deploymentId))) throw notFound("token", tokenId);
        recordAudit(tx, {
          deploymentId,
          actor: actorOf(call.holder),
          action: "token.revoke",
          subject: tokenId,
        });
      });
      return {};
    },
  });
}
