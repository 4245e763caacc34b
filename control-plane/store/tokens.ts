import { createHash, randomBytes } from "node:crypto";
import type { Labels } from "../lease/placement";
import type { Prepared, Queryable } from "./database";
import { EVERYTHING, type Listed, limited } from "./inventory";

export type TokenKind = "operator" | "deployment" | "worker";

/** A token's first characters say what it is for, so that a leaked one is recognised. */
const PREFIX: Readonly<Record<TokenKind, string>> = { operator: "hfo_", deployment: "hfd_", worker: "hfw_" };

export interface TokenScope {
  readonly kind: TokenKind;
  /** Null: an operator of every deployment. */
  readonly deploymentId: string | null;
  readonly sessionId?: string;
  /** @default - never */
  readonly expiresInMs?: number;
}

export interface TokenHolder {
  readonly tokenId: string;
  readonly kind: TokenKind;
  readonly deploymentId: string | null;
  readonly session: {
    readonly id: string;
    readonly state: "registered" | "open" | "closed";
    readonly workerId: string;
    readonly pool: string;
    readonly labels: Labels;
  } | null;
}

/** Of rows of tokens. */
export const VALID = "revoked_at is null and (expires_at is null or expires_at > now())";

const HOLDERS: Prepared = {
  name: "token-holders",
  text: `
    select t.hash, t.id, t.kind, t.deployment_id, t.session_id, s.state, s.worker_id, s.pool, s.labels
    from tokens t left join sessions s on s.id = t.session_id
    where t.hash = any($1) and ${VALID}`,
};

export const STILL_VALID: Prepared = {
  name: "valid-tokens",
  text: `select id from tokens where id = any($1) and ${VALID}`,
};

/** What is kept of a token. */
export const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();

/** Makes a token of 256 random bits. It is shown this once: only its hash is kept. */
export async function issueToken(db: Queryable, scope: TokenScope): Promise<{ id: string; token: string }> {
  const token = PREFIX[scope.kind] + randomBytes(32).toString("base64url");
  const { rows } = await db.query<{ id: string }>(
    `insert into tokens (kind, deployment_id, session_id, hash, expires_at)
     values ($1, $2, $3, $4, now() + make_interval(secs => $5)) returning id`,
    [
      scope.kind,
      scope.deploymentId,
      scope.sessionId ?? null,
      hashOf(token),
      scope.expiresInMs ? scope.expiresInMs / 1_000 : null,
    ],
  );
  const id = rows[0]?.id;
  if (!id) throw new Error("the database kept no token");
  return { id, token };
}

/** Whom a token speaks for; null when it is unknown, expired or revoked. */
export async function findTokenHolder(db: Queryable, token: string): Promise<TokenHolder | null> {
  return (await findTokenHolders(db, [token])).get(token) ?? null;
}

/** Whom tokens speak for, without those that are unknown, expired or revoked. */
export async function findTokenHolders(db: Queryable, tokens: readonly string[]): Promise<Map<string, TokenHolder>> {
  const byHash = new Map(tokens.map((token) => [hashOf(token).toString("hex"), token]));
  const { rows } = await db.query<{
    hash: Buffer;
    id: string;
    kind: TokenKind;
    deployment_id: string | null;
    session_id: string | null;
    state: "registered" | "open" | "closed";
    worker_id: string;
    pool: string;
    labels: Labels;
  }>(HOLDERS, [tokens.map(hashOf)]);
  const holders = new Map<string, TokenHolder>();
  for (const { hash, session_id: id, state, worker_id: workerId, pool, labels, ...row } of rows) {
    const session = id ? { id, state, workerId, pool, labels } : null;
    const token = byHash.get(hash.toString("hex")) ?? "";
    holders.set(token, { tokenId: row.id, kind: row.kind, deploymentId: row.deployment_id, session });
  }
  return holders;
}

/**
 * Tokens that may still be used, the oldest first, without those of workers' sessions; for operators of all deployments when null.
 * A page is of those after the one with an id.
 */
export async function listTokens(db: Queryable, deploymentId: string | null, page = EVERYTHING): Promise<Listed[]> {
  const { rows } = await db.query(
    `select id, kind, created_at as "createdAt", expires_at as "expiresAt" from tokens
     where deployment_id is not distinct from $1 and kind <> 'worker' and ${VALID}
       and ($2::uuid is null or (created_at, id) > (select created_at, id from tokens where id = $2))
     order by created_at, id ${limited(page)}`,
    [deploymentId, page.after || null],
  );
  return rows;
}

/**
 * Issues a token of the same kind, which lives as long as the old one was to live when it was issued, and lets that go on for the overlap, at
 * most. One whose answer was lost may be asked for again. Null when the old one is not valid any more.
 */
export async function rotateToken(
  db: Queryable,
  tokenId: string,
  deploymentId: string | null,
  overlapMs: number,
): Promise<{ id: string; token: string } | null> {
  const { rows } = await db.query<{ kind: TokenKind; life_ms: number | null }>(
    `update tokens set expires_at = least(expires_at, now() + make_interval(secs => $3))
     where id = $1 and deployment_id is not distinct from $2 and kind <> 'worker' and ${VALID}
     returning kind, (extract(epoch from life) * 1000)::float as life_ms`,
    [tokenId, deploymentId, overlapMs / 1_000],
  );
  const old = rows[0];
  if (!old) return null;
  return await issueToken(db, {
    kind: old.kind,
    deploymentId,
    ...(old.life_ms !== null && { expiresInMs: old.life_ms }),
  });
}

/** Which of the tokens that were valid once still are. */
export async function readValidTokens(db: Queryable, tokenIds: readonly string[]): Promise<Set<string>> {
  const { rows } = tokenIds.length > 0 ? await db.query<{ id: string }>(STILL_VALID, [tokenIds]) : { rows: [] };
  return new Set(rows.map(({ id }) => id));
}

/**
 * Revokes a token at once; those issued for the same purpose go on. False when there is no such token of the deployment, or of operators
 * of all deployments when null.
 */
export async function revokeToken(db: Queryable, tokenId: string, deploymentId: string | null): Promise<boolean> {
  const { rowCount } = await db.query(
    `update tokens set revoked_at = coalesce(revoked_at, now()) where id = $1 and deployment_id is not distinct from $2`,
    [tokenId, deploymentId],
  );
  return rowCount === 1;
}

/** Revokes what a session was given: its worker must register anew. */
export async function revokeSessionTokens(db: Queryable, sessionId: string): Promise<void> {
  await db.query("update tokens set revoked_at = now() where session_id = $1 and revoked_at is null", [sessionId]);
}
