import { movedFrom } from "../fleet/fleet-checks";
import { type Act, machineOf } from "../rehearsal";
import { othersStayed, replacedChecks } from "./checks";

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html: a worker hands its jobs over in time. */
export const spotNotice: Act = async (rehearsal, occasion) => {
  const moved = movedFrom(rehearsal, occasion);
  const { instance } = machineOf(rehearsal, occasion.node);
  const forMs = occasion.event.forMs ?? 0;
  rehearsal.stage.interrupt(instance, new Date(Date.now() + forMs));
  const takenMs = rehearsal.story.elapsedMs + forMs;
  const checks = await Promise.all([replacedChecks(rehearsal, occasion), moved(takenMs)]);
  return [...checks.flat(), othersStayed(rehearsal, occasion, [occasion.node.name])];
};
