import type { CdcStatus } from "../daemon/daemon-api";

/** How a dbmazz says that all is copied, just before it ends. */
const COMPLETE = /\bsnapshot complete\b/i;

/**
 * What is missing to take a dbmazz's end with status 0 for the end of its copy, in words; undefined where nothing is. It ends so too when its
 * stream breaks in the middle. Proof is its last word, or a status after the snapshot in which every chunk was copied: before, it may know
 * of the chunks of one table alone.
 *
 * @param lastLines of its output, oldest first.
 * @param seen the last status that it gave; undefined where nobody has looked at it.
 */
export function missingCopyProof(lastLines: readonly string[], seen: CdcStatus | undefined): string | undefined {
  if (lastLines.some((line) => COMPLETE.test(line))) return undefined;
  const { snapshot_active: isCopying, snapshot_chunks_done: done, snapshot_chunks_total: total } = seen ?? {};
  if (total && done === total && !isCopying) return undefined;
  const chunks = total ? `${done} of ${total} chunks were seen copied` : "no chunk was seen copied";
  return `nothing shows that its copy was complete: ${chunks}, and its output does not say so (RUST_LOG must let info through)`;
}
