import type { Operators } from "./operators";
import type { ParkedFleet } from "./parked-fleet";

/** How long it takes, in ms, from an operator's request of a job to the answer that its daemon may start. */
export async function requestToStart(operators: Operators, fleet: ParkedFleet, name: string): Promise<number> {
  const at = performance.now();
  const [, startedAt] = await Promise.all([operators.create(name), fleet.started(name)]);
  return startedAt - at;
}
