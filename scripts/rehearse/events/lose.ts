import { movedFrom } from "../fleet/fleet-checks";
import { type Act, machineOf } from "../rehearsal";
import { othersStayed, replacedChecks } from "./checks";

/** A power cut: the group notices, and launches another; jobs of a worker run elsewhere once its lease is over. */
export const lose: Act = async (rehearsal, occasion) => {
  const moved = movedFrom(rehearsal, occasion);
  await machineOf(rehearsal, occasion.node).machine.kill();
  const checks = await Promise.all([replacedChecks(rehearsal, occasion), moved()]);
  return [...checks.flat(), othersStayed(rehearsal, occasion, [occasion.node.name])];
};
