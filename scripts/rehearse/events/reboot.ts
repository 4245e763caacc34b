import { RebootInstancesCommand } from "@aws-sdk/client-ec2";
import { type Act, machineOf } from "../rehearsal";
import { timeText } from "../story/time";
import { check, othersStayed } from "./checks";

/** The operating system restarts, as `RebootInstances` has it do. */
export const reboot: Act = async (rehearsal, occasion) => {
  const { watch, stage, ec2, story, deadlineMs } = rehearsal;
  const { node, fromMs } = occasion;
  const { instance, machine } = machineOf(rehearsal, node);
  const end = watch.override(node.name, "booting");
  try {
    await ec2.send(new RebootInstancesCommand({ InstanceIds: [instance] }));
    // Ends with a state other than running where a unit failed, which is for the application's check to judge.
    if (stage.inside) await machine.exec("sh", "-c", "systemctl is-system-running --wait || true");
  } finally {
    end();
  }
  const isWell = await watch.until(() => watch.node(node.name)?.state === "in service" && watch.allWell, deadlineMs);
  const took = timeText(story.elapsedMs - fromMs);
  const now = watch.node(node.name);
  return [
    check(isWell, `${node.name} is in service again after ${took}`, `${node.name} is ${now?.state} after ${took}`),
    check(now?.instance === instance, `it is ${instance} still`, `its group replaced it by ${now?.instance}`),
    othersStayed(rehearsal, occasion, [node.name]),
  ];
};
