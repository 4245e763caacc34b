import type { Operators } from "./operators";
import type { ParkedFleet } from "./parked-fleet";

/**
 * How long it takes, in ms, from an operator's request of a job to the answer of the claim that gets it.
 *
 * @param sourceId of the job's datasource. @default - the store's one
 */
export async function requestToClaim(
  operators: Operators,
  fleet: ParkedFleet,
  name: string,
  sourceId?: string,
): Promise<number> {
  const at = performance.now();
  await operators.create(name, sourceId);
  return (await fleet.told(name)) - at;
}
