import { type Act, machineOf } from "../rehearsal";
import { othersStayed, replacedChecks } from "./checks";

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html, with a shorter notice */
export const spotNotice: Act = async (rehearsal, occasion) => {
  const { instance } = machineOf(rehearsal, occasion.node);
  rehearsal.stage.interrupt(instance, new Date(Date.now() + (occasion.event.forMs ?? 0)));
  const checks = await replacedChecks(rehearsal, occasion);
  return [...checks, othersStayed(rehearsal, occasion, [occasion.node.name])];
};
