import { chmodSync, writeFileSync } from "node:fs";
import type { Pool } from "pg";
import { recordAudit } from "./audit";
import { transaction } from "./database";
import { issueToken, listTokens } from "./tokens";

/** Any number that no other user of the database takes. */
const FIRST_OPERATOR_LOCK = 4_850_211_903;

/**
 * Sees to it that somebody may operate the control plane: where no operator of all deployments has a valid token, one is issued and
 * written to `file`, readable by its owner alone. The file comes first: a token in a file that is unknown to the database is replaced
 * at the next start, whereas one that only the database knew would be lost.
 *
 * @returns `missing` when there is nobody and no file to write to.
 */
export async function ensureOperator(pool: Pool, file: string | undefined): Promise<"present" | "issued" | "missing"> {
  return await transaction(pool, async (tx) => {
    await tx.query("select pg_advisory_xact_lock($1)", [FIRST_OPERATOR_LOCK]);
    if ((await listTokens(tx, null)).length > 0) return "present";
    if (file === undefined) return "missing";
    const { id, token } = await issueToken(tx, { kind: "operator", deploymentId: null });
    const entry = { deploymentId: null, actor: "control-plane", action: "token.issue", subject: id };
    recordAudit(tx, { ...entry, detail: { kind: "operator" } });
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    chmodSync(file, 0o600);
    return "issued";
  });
}
