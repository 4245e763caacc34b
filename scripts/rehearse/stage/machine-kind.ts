import { findPostgres } from "../../../control-plane/store/postgres-programs";
import { missingCommands } from "../../test-tiers";
import type { Deployment } from "../deployment/deployment";
import type { Workers } from "../fleet/fleet-needs";
import { missingForContainers } from "../machines/engine-here";
import { WrongUse } from "../wrong-use";

/** What stands for instances. */
export type MachineKind = "none" | "container";

/** A deployment, as far as machines have to suit it. */
export interface Staged extends Pick<Deployment, "workers"> {
  /** As the command line says it. */
  readonly asked: string;
}

/**
 * The kind that was asked for; without one, containers where this machine and the deployment can have them.
 *
 * @returns and, where they cannot, why
 * @throws WrongUse where containers were asked for and cannot be had
 */
export function machinesFor(
  wanted: MachineKind | undefined,
  { asked, workers }: Staged,
): { readonly kind: MachineKind; readonly why?: string } {
  if (wanted === "none") return { kind: "none" };
  const obstacle = obstacleTo(asked, workers) ?? lackOf(toolsFor(workers));
  if (obstacle === undefined) return { kind: "container" };
  if (wanted === "container") throw new WrongUse(`--machines container: ${obstacle.why}`, obstacle.next);
  return { kind: "none", why: `machines: none, since ${obstacle.why}` };
}

interface Obstacle {
  readonly why: string;
  readonly next: string;
}

function obstacleTo(asked: string, workers: Workers | undefined): Obstacle | undefined {
  if (workers === undefined || "needs" in workers) return undefined;
  return { why: `${asked}: ${workers.obstacle}`, next: `holdfast rehearse ${asked} --machines none` };
}

/** What containers need and this machine lacks; with workers, also what their control plane and their jobs need. */
function toolsFor(workers: Workers | undefined): readonly string[] {
  const missing = missingForContainers();
  if (workers === undefined) return missing;
  const postgres = findPostgres() === undefined ? ["PostgreSQL's initdb and postgres"] : [];
  return [...missing, ...postgres, ...missingCommands({ name: "", proves: "", commands: ["openssl"] })];
}

function lackOf(missing: readonly string[]): Obstacle | undefined {
  if (missing.length === 0) return undefined;
  return { why: `containers need ${missing.join(", ")}`, next: "install them, or use --machines none" };
}
