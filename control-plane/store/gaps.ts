import type { Pool } from "pg";
import { recordAudit } from "./audit";
import { transaction } from "./database";
import type { Actor } from "./jobs";

/** What an operator says he has dealt with. */
export interface SeenGap {
  readonly deploymentId: string;
  readonly jobId: string;
  /** The position that he saw; empty: one that nobody knows. */
  readonly gapAfter: string;
}

/** `toldSince`: another gap came after the one that was seen, and stays. */
export type Acknowledgement = "acknowledged" | "not_found" | { readonly toldSince: string };

/** Removes a job's mark that changes may be missing. Where it has none any more nothing is left to do. */
export async function acknowledgeGap(
  pool: Pool,
  { deploymentId, jobId, gapAfter }: SeenGap,
  actor: Actor,
): Promise<Acknowledgement> {
  return await transaction(pool, async (tx) => {
    const { rows } = await tx.query<{ told: string | null }>(
      `select gap_after as told from jobs where id = $1 and deployment_id = $2 and deleted_at is null for update`,
      [jobId, deploymentId],
    );
    if (!rows[0]) return "not_found";
    const { told } = rows[0];
    if (told === null) return "acknowledged";
    if (told !== gapAfter) return { toldSince: told };
    await tx.query("update jobs set gap_after = null where id = $1", [jobId]);
    recordAudit(tx, { deploymentId, actor, action: "job.gap_acknowledged", subject: jobId, detail: { gapAfter } });
    return "acknowledged";
  });
}
