import { setTimeout as sleep } from "node:timers/promises";
import { CommandFailed } from "../../emulator/command-failed";
import type { Machine } from "../../emulator/machines";
import { type Act, CannotHappen, machineOf } from "../rehearsal";
import { check, othersStayed } from "./checks";

/** A port that nothing listens on: who is there refuses at once. */
const CLOSED_PORT = 1;
const PATIENCE_S = 5;

/** curl(1), "EXIT CODES": the operation timed out. */
const TIMED_OUT = 28;

/** Those of the addresses from which anything comes back, a refusal too. */
async function reachedFrom(machine: Machine, addresses: readonly string[]): Promise<readonly string[]> {
  const asked = addresses.map(async (address) => {
    const url = `http://${address}:${CLOSED_PORT}`;
    const code = await machine.exec("curl", "--silent", "--max-time", String(PATIENCE_S), url).then(
      () => 0,
      (error) => (error instanceof CommandFailed ? error.status : Promise.reject(error)),
    );
    return code === TIMED_OUT ? [] : [address];
  });
  return (await Promise.all(asked)).flat();
}

/** The node loses its peers and they lose it; AWS still reaches it, so its group keeps it. */
export const partition: Act = async (rehearsal, occasion) => {
  const { stage, watch, clusters, deadlineMs, signal } = rehearsal;
  const { node, event } = occasion;
  const cluster = clusters.find(({ nodes }) => nodes.some(({ group }) => group === node.group));
  const peers = (cluster?.nodes ?? []).filter(({ group }) => group !== node.group).map(({ ip }) => ip);
  if (stage.inside === undefined || peers.length === 0) {
    throw new CannotHappen(`${node.name} has no peers to be parted from`);
  }
  const { instance, machine } = machineOf(rehearsal, node);
  const join = await stage.inside.part(instance, peers);
  let reached: readonly string[];
  try {
    [reached] = await Promise.all([reachedFrom(machine, peers), sleep(event.forMs, undefined, { signal })]);
  } finally {
    await join();
  }
  const reachedAgain = await reachedFrom(machine, peers);
  const isWell = await watch.until(() => watch.node(node.name)?.state === "in service" && watch.allWell, deadlineMs);
  return [
    check(reached.length === 0, "no peer could be reached", `${reached.join(", ")} could be reached all the same`),
    check(
      reachedAgain.length === peers.length,
      "then every peer could",
      `then ${peers.filter((peer) => !reachedAgain.includes(peer)).join(", ")} could still not`,
    ),
    check(isWell, `${node.name} came back to its peers`, `${node.name} is ${watch.node(node.name)?.state}`),
    check(
      watch.node(node.name)?.instance === instance,
      `it is ${instance} still`,
      `its group replaced it by ${watch.node(node.name)?.instance}`,
    ),
    othersStayed(rehearsal, occasion, [node.name]),
  ];
};
