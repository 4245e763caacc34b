import { missingCommands, TEST_TIERS } from "../../test-tiers";
import { WrongUse } from "../wrong-use";

/** What stands for instances. */
export type MachineKind = "none" | "container";

/**
 * The kind that was asked for; without one, containers where this machine can have them.
 *
 * @returns and, where it cannot, why
 * @throws WrongUse where containers were asked for and cannot be had
 */
export function machinesFor(wanted: MachineKind | undefined): { readonly kind: MachineKind; readonly why?: string } {
  if (wanted === "none") return { kind: "none" };
  const tier = TEST_TIERS.find(({ name }) => name === "podman");
  const missing = tier === undefined ? [] : missingCommands(tier);
  if (missing.length === 0) return { kind: "container" };
  const lacking = `containers need ${missing.join(", ")}`;
  if (wanted === "container")
    throw new WrongUse(`--machines container: ${lacking}`, "install them, or use --machines none");
  return { kind: "none", why: `machines: none, since ${lacking}` };
}
