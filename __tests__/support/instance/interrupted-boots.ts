import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../../scripts/emulator/machines";
import { seededRandom } from "../../../scripts/seeded-random";
import type { ClusterLab, LabNode } from "./cluster-lab";
import { type ClusterKind, isHealthy } from "./cluster-life";

/** About as long as a boot of an idle computer: a few are interrupted when they are over. */
const LONGEST_MS = 6_000;

const AGENT = "holdfast-node";

interface Interruption {
  readonly what: string;
  /** cloud-init runs user data once per instance: a restart before the agent is installed leaves a node without one. */
  readonly needsAgent?: true;
  readonly act: (machine: Machine, kind: ClusterKind) => Promise<unknown>;
}

const killed = (machine: Machine, whom: "main" | "all", unit: string) =>
  machine.exec("systemctl", "kill", "--signal=KILL", `--kill-whom=${whom}`, unit);

const INTERRUPTIONS: readonly Interruption[] = [
  { what: "power cut", act: (machine) => machine.kill() },
  { what: "reboot", needsAgent: true, act: (machine) => machine.reboot() },
  { what: "agent killed", needsAgent: true, act: (machine) => killed(machine, "main", AGENT) },
  { what: "agent killed with all it runs", needsAgent: true, act: (machine) => killed(machine, "all", AGENT) },
  { what: "member killed", act: (machine, { settings }) => killed(machine, "all", settings.kind) },
];

/** How many boots are interrupted, and what decides which, how and when. */
export interface Interruptions {
  readonly turns: number;
  readonly seed: number;
}

/** As the environment says: HOLDFAST_LAB_TURNS and HOLDFAST_LAB_SEED. */
export function interruptions(byDefault: Interruptions): Interruptions {
  const { HOLDFAST_LAB_TURNS: turns = byDefault.turns, HOLDFAST_LAB_SEED: seed = byDefault.seed } = process.env;
  return { turns: Number(turns), seed: Number(seed) };
}

/**
 * Takes the power from one node after the other, and interrupts the boot of what takes its place, in each way in turn; each time all
 * nodes end in service, healthy, and with their data.
 */
export async function interruptBoots(
  lab: ClusterLab,
  kind: ClusterKind,
  { turns, seed }: Interruptions,
): Promise<void> {
  const random = seededRandom(seed);
  for (let turn = 0; turn < turns; turn++) {
    const nodes = await lab.nodes();
    const lost = nodes[Math.floor(random() * nodes.length)] as LabNode;
    const { what, needsAgent, act } = INTERRUPTIONS[turn % INTERRUPTIONS.length] as Interruption;
    const delayMs = random() * LONGEST_MS;

    await (await lab.machine(lost.nodeId)).kill();
    const heir = await successor(lab, lost);
    if (needsAgent) await lab.until("the agent is installed", () => hasAgent(heir));
    await sleep(delayMs);
    // What is over cannot be interrupted.
    await act(heir, kind).catch(() => undefined);

    const happened = `seed ${seed}, turn ${turn + 1}: ${what} ${Math.round(delayMs)} ms into the boot of node ${lost.nodeId}`;
    await lab.until(`${happened}: all are back`, async () => {
      const states = (await lab.nodes()).map(({ lifecycle }) => lifecycle);
      return states.every((state) => state === "InService") && isHealthy(lab, kind);
    });
    for (const { nodeId, address } of nodes) {
      const holds = await kind.holdsFirstWrite(await lab.machine(nodeId), address);
      expect({ happened, nodeId, holds }).toEqual({ happened, nodeId, holds: true });
    }
  }
  lab.measured({ "interrupted boots": turns, seed });
}

const hasAgent = async (machine: Machine) =>
  (await machine.exec("systemctl", "is-enabled", AGENT).catch(() => "")) === "enabled";

async function successor(lab: ClusterLab, { nodeId, instanceId: former }: LabNode): Promise<Machine> {
  let machine: Machine | undefined;
  await lab.until(`node ${nodeId} has another machine`, async () => {
    const { instanceId = "" } = (await lab.nodes()).find((node) => node.nodeId === nodeId) ?? {};
    machine = instanceId === former ? undefined : lab.cloud().machineOf(instanceId);
    return machine !== undefined;
  });
  return machine as Machine;
}
