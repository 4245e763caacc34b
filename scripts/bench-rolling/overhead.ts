import { MemoryStore } from "../rolling-update/simulator/memory-store";
import { SimulatedAws } from "../rolling-update/simulator/simulated-aws";
import { holdfast } from "./updaters";

const SHUTDOWN_MS = 40_000;
const DETACH_MS = 3_000;
const START_MS = 15_000;
const BOOT_MS = 60_000;
/** Notice the free slot, see the instance run, enter service: the group's own seconds in the simulator. */
const GROUP_MS = 4_000;

export interface Overhead {
  readonly nodes: number;
  readonly perNodeMs: number;
  /** What AWS and the node need by themselves. */
  readonly floorMs: number;
  readonly callsPerNode: number;
}

/** Time and calls of one roll of a healthy cluster, calls taking 80 ms each. */
export async function overheadOf(nodes: number): Promise<Overhead> {
  const aws = await SimulatedAws.running({
    nodes,
    ec2: { shutdownMs: () => SHUTDOWN_MS, detachMs: () => DETACH_MS, startMs: () => START_MS },
    bootMs: () => BOOT_MS,
  });
  aws.release();
  const process = aws.clock.process();
  const startedMs = aws.clock.now();
  const store = new MemoryStore().connect(process);
  const cloud = aws.connect(process, { latencyMs: () => 80 });
  await aws.clock.run(
    holdfast({
      cloud,
      inside: cloud,
      clock: process,
      manifest: aws.deployment(),
      store,
      probe: aws.guests.probe(process, () => 20),
    }),
  );
  const calls = [...aws.calls.values()].reduce((sum, count) => sum + count, 0);
  return {
    nodes,
    perNodeMs: (aws.clock.now() - startedMs) / nodes,
    floorMs: SHUTDOWN_MS + DETACH_MS + START_MS + BOOT_MS + GROUP_MS,
    callsPerNode: calls / nodes,
  };
}
