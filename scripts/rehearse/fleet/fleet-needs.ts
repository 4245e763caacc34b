/** A folder of a bucket, without the slashes around it. */
export interface ReleaseFolder {
  readonly bucket: string;
  readonly region: string;
  readonly keyPrefix: string;
}

/** A pool whose workers take jobs from the control plane. */
export interface PoolNeeds {
  readonly name: string;
  /** That it has at its creation. */
  readonly workers: number;
  /** That are to run on it. */
  readonly jobs: number;
  readonly drainDeadlineMs: number;
}

/** What the workers of a document dial to, and what they can do. */
export interface FleetNeeds {
  readonly token: TokenStore;
  readonly daemon: ReleaseFolder & { readonly version: string };
  readonly agent: ReleaseFolder;
  readonly pools: readonly PoolNeeds[];
}

/** Where a deployment's token is: AWS Secrets Manager, or Parameter Store. */
export type TokenStore = "secret" | "parameter";

/** Of a deployment whose instances are workers: what they dial to, or why a rehearsal cannot be what they dial to. */
export type Workers = { readonly needs: FleetNeeds } | { readonly obstacle: string };

/**
 * How many jobs a pool can be shown with: those of one worker have room on the others, and each worker has one.
 *
 * @param mode of its drains; who finishes jobs would wait for streams that never end
 */
export function jobsFor({
  workers,
  slots,
  mode,
}: {
  readonly workers: number;
  readonly slots: number;
  readonly mode: "handoff" | "finish";
}): number {
  if (mode === "finish") return 0;
  return Math.min(workers + 1, Math.max(1, workers - 1) * slots, workers * slots);
}
