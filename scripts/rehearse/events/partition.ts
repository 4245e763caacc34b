import { setTimeout as sleep } from "node:timers/promises";
import { type Act, CannotHappen, machineOf } from "../rehearsal";
import { check, othersStayed } from "./checks";

/** The node loses its peers and they lose it; AWS still reaches it, so its group keeps it. */
export const partition: Act = async (rehearsal, occasion) => {
  const { stage, watch, clusters, deadlineMs, signal } = rehearsal;
  const { node, event } = occasion;
  const cluster = clusters.find(({ nodes }) => nodes.some(({ group }) => group === node.group));
  if (stage.inside === undefined || cluster === undefined) {
    throw new CannotHappen(`${node.name} has no peers to be parted from`);
  }
  const peers = cluster.nodes.filter(({ group }) => group !== node.group).map(({ ip }) => ip);
  const { instance } = machineOf(rehearsal, node);
  const join = await stage.inside.part(instance, peers);
  try {
    await sleep(event.forMs, undefined, { signal });
  } finally {
    await join();
  }
  const isWell = await watch.until(() => watch.node(node.name)?.state === "in service" && watch.allWell, deadlineMs);
  return [
    check(isWell, `${node.name} came back to its peers`, `${node.name} is ${watch.node(node.name)?.state}`),
    check(
      watch.node(node.name)?.instance === instance,
      `it is ${instance} still`,
      `its group replaced it by ${watch.node(node.name)?.instance}`,
    ),
    othersStayed(rehearsal, occasion, [node.name]),
  ];
};
