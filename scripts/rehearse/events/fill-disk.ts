import { setTimeout as sleep } from "node:timers/promises";
import { type Act, CannotHappen, machineOf } from "../rehearsal";
import { check, othersStayed } from "./checks";
import { DATA_MOUNT, EMPTY, FILL, parseRoom, TELL_ROOM } from "./full-disk";

/** The node's data volume is full for a while; then there is room again, and nobody touches anything else. */
export const fillDisk: Act = async (rehearsal, occasion) => {
  const { watch, deadlineMs, signal } = rehearsal;
  const { node, event } = occasion;
  if (!node.isOfCluster) throw new CannotHappen(`${node.name} has no data volume`);
  const { machine } = machineOf(rehearsal, node);
  const onVolume = (...steps: readonly string[]) => machine.exec("sh", "-c", [DATA_MOUNT, ...steps].join("\n"));
  let filled: string;
  try {
    filled = await onVolume(FILL, TELL_ROOM);
    await sleep(event.forMs, undefined, { signal });
  } finally {
    await onVolume(EMPTY).catch(() => undefined);
  }
  const { isFull, leftBytes, sizeBytes } = parseRoom(filled);
  const emptied = parseRoom(await onVolume(TELL_ROOM));
  const isWell = await watch.until(() => watch.node(node.name)?.state === "in service" && watch.allWell, deadlineMs);
  return [
    check(
      isFull,
      `its data volume was full: ${mib(leftBytes)} of ${mib(sizeBytes)} left, and a write was refused`,
      `its data volume was not full: ${mib(leftBytes)} of ${mib(sizeBytes)} were left, and a write went through`,
    ),
    check(!emptied.isFull, `it has room again: ${mib(emptied.leftBytes)}`, "it was not emptied again"),
    check(isWell, `${node.name} serves once there is room again`, `${node.name} is ${watch.node(node.name)?.state}`),
    othersStayed(rehearsal, occasion, [node.name]),
  ];
};

const mib = (bytes: number) => `${Math.floor(bytes / 1_048_576)} MiB`;
