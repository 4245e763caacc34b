import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../../scripts/emulator/machines";
import type { ClusterLab, LabNode } from "./cluster-lab";
import { type ClusterKind, isHealthy } from "./cluster-life";

/** Longer than most boots: some are interrupted when they are over. */
const LONGEST_MS = 10_000;

const UNIT = "holdfast-node.service";

interface Interruption {
  readonly of: "the machine" | "the agent";
  readonly act: (machine: Machine) => Promise<unknown>;
}

/** cloud-init runs user data once per instance, whatever became of it: a restart before the agent is installed leaves none. */
const INTERRUPTIONS: readonly Interruption[] = [
  { of: "the machine", act: (machine) => machine.kill() },
  { of: "the agent", act: (machine) => machine.reboot() },
  { of: "the agent", act: (machine) => machine.exec("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT) },
];

/** Takes the power from one node after the other, and interrupts the boot of what takes its place; each time all ends well. */
export async function interruptBoots(
  lab: ClusterLab,
  kind: ClusterKind,
  times: number,
  random: () => number,
): Promise<void> {
  const one = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)] as T;
  for (let turn = 1; turn <= times; turn++) {
    const lost = one(await lab.nodes());
    const interruption = one(INTERRUPTIONS);
    const delayMs = random() * LONGEST_MS;

    await (await lab.machine(lost.nodeId)).kill();
    const heir = await successor(lab, lost);
    if (interruption.of === "the agent") await lab.until("the agent is installed", () => hasAgent(heir));
    await sleep(delayMs);
    // What is over cannot be interrupted.
    await interruption.act(heir).catch(() => undefined);

    await lab.until(`turn ${turn}: node ${lost.nodeId} is back`, async () => {
      const states = (await lab.nodes()).map(({ lifecycle }) => lifecycle);
      return states.every((state) => state === "InService") && isHealthy(lab, kind);
    });
    expect(await kind.holdsFirstWrite(await lab.machine(lost.nodeId), lost.address)).toBe(true);
  }
}

const hasAgent = async (machine: Machine) =>
  (await machine.exec("systemctl", "is-enabled", UNIT).catch(() => "")) === "enabled";

async function successor(lab: ClusterLab, { nodeId, instanceId: former }: LabNode): Promise<Machine> {
  let machine: Machine | undefined;
  await lab.until(`node ${nodeId} has another machine`, async () => {
    const { instanceId = "" } = (await lab.nodes()).find((node) => node.nodeId === nodeId) ?? {};
    machine = instanceId === former ? undefined : lab.cloud().machineOf(instanceId);
    return machine !== undefined;
  });
  return machine as Machine;
}
