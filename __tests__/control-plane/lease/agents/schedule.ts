import { World } from "../simulator/world";
import { Fleet, type Outcome } from "./fleet";
import type { LeftOut } from "./rules";

const FAULTY_MS = 30_000;
/** Once no more faults happen, by then every job has ended, runs, or rests as it is to. */
const CALM_MS = 300_000;
const CALM_LOOK_MS = 500;

/** Every other schedule has an operator who gives orders; each order is one fault less that shows. */
export const hasOrders = (seed: number): boolean => seed % 2 === 1;

/**
 * A fleet under faults, and orders maybe, then without either until every job is accounted for.
 *
 * @param leaveAfterMs how long an agent's life lasts, on average, until it is asked to go
 */
export async function runSchedule(seed: number, leftOut?: LeftOut, leaveAfterMs?: number): Promise<Outcome> {
  const fleet = new Fleet(new World(seed), leftOut, leaveAfterMs);
  fleet.trouble(FAULTY_MS);
  if (hasOrders(seed)) fleet.order(FAULTY_MS);
  await fleet.run(FAULTY_MS);
  fleet.heal();
  const endMs = FAULTY_MS + CALM_MS;
  while (fleet.unsettled() && fleet.world.nowMs < endMs) await fleet.run(fleet.world.nowMs + CALM_LOOK_MS);
  return fleet.outcome();
}
