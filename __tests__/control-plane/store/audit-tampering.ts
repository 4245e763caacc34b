import type { Queryable } from "../../../control-plane/store/database";
import { type ChainLink, verifyAudit } from "../../../control-plane/store/verify-audit";

/** Verifies a chain to its end. @returns the number of the first entry that does not fit, null where all do */
export async function findAuditTampering(
  db: Queryable,
  deploymentId: string | null,
  page?: number,
): Promise<number | null> {
  for (let after: ChainLink | undefined; ; ) {
    const verified = await verifyAudit(db, deploymentId, after, page);
    if ("tamperedAt" in verified) return verified.tamperedAt;
    after = verified.upTo;
  }
}
