import type { Operators } from "./operators";
import type { ParkedFleet } from "./parked-fleet";

/** How long it takes, in ms, from an operator's request of a job to the answer of the claim that gets it. */
export async function requestToClaim(operators: Operators, fleet: ParkedFleet, name: string): Promise<number> {
  const at = performance.now();
  await operators.create(name);
  return (await fleet.told(name)) - at;
}
