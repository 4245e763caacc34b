import * as z from "zod";
import type { ControlPlaneApi } from "./control-plane";

const Part = z.union([
  z.object({ tamperedAt: z.int().nullable() }),
  z.object({ upTo: z.int(), newest: z.int(), next: z.string() }),
]);

/**
 * Has an audit log's chain of hashes recomputed, part by part.
 *
 * @param path of the log
 * @param told after each part but the last: the numbers of the entry up to which the chain is whole, and of the newest.
 * @returns the number of the first entry that does not fit, null where all do.
 */
export async function verifyAudit(
  api: ControlPlaneApi,
  path: string,
  told: (upTo: number, newest: number) => unknown = () => undefined,
): Promise<number | null> {
  for (let query = ""; ; ) {
    const part = await api.get(`${path}/verify${query}`, Part);
    if ("tamperedAt" in part) return part.tamperedAt;
    told(part.upTo, part.newest);
    query = `?next=${part.next}`;
  }
}
