import { missingForContainers } from "../machines/engine-here";
import { WrongUse } from "../wrong-use";

/** What stands for instances. */
export type MachineKind = "none" | "container";

/** A deployment, as far as machines have to suit it. */
export interface Staged {
  /** As the command line says it. */
  readonly asked: string;
  readonly hasWorkers: boolean;
}

/**
 * The kind that was asked for; without one, containers where this machine and the deployment can have them.
 *
 * @returns and, where they cannot, why
 * @throws WrongUse where containers were asked for and cannot be had
 */
export function machinesFor(
  wanted: MachineKind | undefined,
  { asked, hasWorkers }: Staged,
): { readonly kind: MachineKind; readonly why?: string } {
  if (wanted === "none") return { kind: "none" };
  const obstacle = hasWorkers
    ? {
        why: `the workers of ${asked} would reach no control plane and no release bucket in containers`,
        next: `holdfast rehearse ${asked} --machines none`,
      }
    : lackOfTools();
  if (obstacle === undefined) return { kind: "container" };
  if (wanted === "container") throw new WrongUse(`--machines container: ${obstacle.why}`, obstacle.next);
  return { kind: "none", why: `machines: none, since ${obstacle.why}` };
}

function lackOfTools(): { readonly why: string; readonly next: string } | undefined {
  const missing = missingForContainers();
  if (missing.length === 0) return undefined;
  return { why: `containers need ${missing.join(", ")}`, next: "install them, or use --machines none" };
}
