import { setTimeout as sleep } from "node:timers/promises";
import { type Act, CannotHappen, machineOf } from "../rehearsal";
import { check, othersStayed } from "./checks";

/** Takes all that is left of the filesystem on the node's first data volume, and names the file. */
const FILL = [
  "set -e",
  "mount=$(findmnt --noheadings --output TARGET --source /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol* | head -n 1)",
  '[ -n "$mount" ] || mount=$(awk \'$1 ~ "^/dev/(nvme|disk)" { print $2; exit }\' /proc/mounts)',
  'left=$(df --output=avail --block-size=1 "$mount" | tail -n 1)',
  'fallocate --length "$left" "$mount/holdfast-rehearsal-fill" || true',
  'echo "$mount/holdfast-rehearsal-fill"',
].join("\n");

/** The node's data volume is full for a while; then there is room again, and nobody touches anything else. */
export const fillDisk: Act = async (rehearsal, occasion) => {
  const { watch, deadlineMs, signal } = rehearsal;
  const { node, event } = occasion;
  if (!node.isOfCluster) throw new CannotHappen(`${node.name} has no data volume`);
  const { machine } = machineOf(rehearsal, node);
  const file = (await machine.exec("sh", "-c", FILL)).trim();
  try {
    await sleep(event.forMs, undefined, { signal });
  } finally {
    await machine.exec("rm", "-f", file).catch(() => undefined);
  }
  const isWell = await watch.until(() => watch.node(node.name)?.state === "in service" && watch.allWell, deadlineMs);
  return [
    check(isWell, `${node.name} serves once there is room again`, `${node.name} is ${watch.node(node.name)?.state}`),
    othersStayed(rehearsal, occasion, [node.name]),
  ];
};
