import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { containerName } from "./container-machines";
import { engineHere } from "./engine-here";
import type { Lab } from "./lab";

/** Memory that a machine's control group is charged with, MiB: its processes, its kernel objects, and the files that it read first. */
export interface MachineMemory {
  readonly totalMiB: number;
  /**
   * Without file pages that were not used of late, which the kernel takes back first: what has to fit beside other machines.
   * https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
   */
  readonly workingSetMiB: number;
}

const CGROUPS = "/sys/fs/cgroup";
const MIB = 1024 ** 2;

/** @throws Error where no such machine runs. */
export async function memoryOf(lab: Lab, instanceId: string): Promise<MachineMemory> {
  const path = await engineHere().run("inspect", "--format={{.State.CgroupPath}}", containerName(lab, instanceId));
  // One hierarchy for all controllers, or one for each: cgroups(7).
  const isUnified = existsSync(join(CGROUPS, "cgroup.controllers"));
  const group = isUnified ? join(CGROUPS, path) : join(CGROUPS, "memory", path);
  const usage = await readFile(join(group, isUnified ? "memory.current" : "memory.usage_in_bytes"), "utf8");
  const stat = await readFile(join(group, "memory.stat"), "utf8");
  const [, unused] = new RegExp(`^${isUnified ? "" : "total_"}inactive_file (\\d+)$`, "m").exec(stat) ?? [];
  if (unused === undefined) throw new Error(`${group}/memory.stat does not tell inactive_file:\n${stat}`);
  return { totalMiB: Number(usage) / MIB, workingSetMiB: (Number(usage) - Number(unused)) / MIB };
}

/** How many such machines fit into `gib` GiB. */
export function machinesIn(gib: number, { workingSetMiB }: Pick<MachineMemory, "workingSetMiB">): number {
  return Math.floor((gib * 1024) / workingSetMiB);
}
