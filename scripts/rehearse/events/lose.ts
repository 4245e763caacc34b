import { type Act, machineOf } from "../rehearsal";
import { othersStayed, replacedChecks } from "./checks";

/** A power cut: the group notices, and launches another. */
export const lose: Act = async (rehearsal, occasion) => {
  await machineOf(rehearsal, occasion.node).machine.kill();
  const checks = await replacedChecks(rehearsal, occasion);
  return [...checks, othersStayed(rehearsal, occasion, [occasion.node.name])];
};
