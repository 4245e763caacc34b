import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { engineHere } from "./engine-here";
import { LAB_LABEL } from "./labels";
import { freeNetworks, type LabNetwork, labsWithNetworks, openNetwork, removeNetwork } from "./network";
import { endProcess, identityOf, lives } from "./owner";
import { removeLoopDevices } from "./volumes";

/** A bench for machines: a number of its own, a directory for volumes, and a network that nothing else uses. */
export interface Lab {
  /** In the names of all that the lab makes, and the second number of its addresses: 10.<id>.0.0/16. */
  readonly id: string;
  readonly directory: string;
  readonly network: LabNetwork;
  /** Ends a process of this machine with the lab, however that ends. */
  adopt(pid: number): Promise<void>;
  /** Removes everything that was made for the lab. */
  close(): Promise<void>;
}

/** Volumes are large and outlive no machine: FHS wants such in /var/tmp. One place, so that a cleaner finds them. */
const LABS = "/var/tmp";
const PREFIX = "holdfast-lab-";
const OWNER = "owner";
const PROCESSES = "processes";

/**
 * Opens a lab on a network that is free on this machine. It belongs to this process: once that has ended, however it did,
 * {@link removeAbandonedLabs} removes what it left.
 *
 * @throws Error where this machine has no free network, or does not allow one (root is needed).
 */
export async function openLab(): Promise<Lab> {
  for (const id of await freeNetworks()) {
    const directory = await claim(id);
    if (directory === undefined) continue;
    try {
      return {
        id,
        directory,
        network: await openNetwork(id),
        adopt: async (pid) => writeFile(join(directory, PROCESSES, String(pid)), await identityOf(pid)),
        close: () => removeLab(id),
      };
    } catch (error) {
      await removeLab(id);
      throw error;
    }
  }
  throw new Error("no network 10.x.0.0/16 is free for a lab: remove what others left with `holdfast rehearse clean`");
}

/** Removes labs whose process has ended. @returns their ids. */
export async function removeAbandonedLabs(): Promise<string[]> {
  const abandoned: string[] = [];
  for (const id of new Set([...(await labsWithDirectories()), ...(await labsWithNetworks())])) {
    // Where the directory is gone it is taken first, so that no lab opens under this number meanwhile.
    if ((await claim(id)) === undefined && !(await isAbandoned(id))) continue;
    await removeLab(id);
    abandoned.push(id);
  }
  return abandoned.sort();
}

/** In the order in which one holds the other; what is gone already is passed over. */
async function removeLab(id: string): Promise<void> {
  for (const process of await processesOf(id)) await endProcess(process);
  const engine = engineHere();
  const containers = await engine.run("ps", "--all", "--quiet", `--filter=label=${LAB_LABEL}=${id}`);
  for (const container of containers.split("\n").filter(Boolean)) {
    await engine.remove(container);
  }
  await removeNetwork(id);
  await removeLoopDevices(join(LABS, PREFIX + id));
  // A server's children may still be writing when it is gone.
  await rm(join(LABS, PREFIX + id), { recursive: true, force: true, maxRetries: 10 });
}

/** The directory appears with its owner in it, so no cleaner ever sees it without. @returns undefined where it is taken. */
async function claim(id: string): Promise<string | undefined> {
  const draft = await mkdtemp(join(LABS, "holdfast-draft-"));
  await writeFile(join(draft, OWNER), await identityOf(process.pid));
  await mkdir(join(draft, "volumes"), { mode: 0o700 });
  await mkdir(join(draft, PROCESSES), { mode: 0o700 });
  // A server that does not run as root may have its directory in it.
  await chmod(draft, 0o711);
  const directory = join(LABS, PREFIX + id);
  try {
    await rename(draft, directory);
    return directory;
  } catch (error) {
    await rm(draft, { recursive: true });
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** One whose directory goes away under the question is being closed by its owner. */
async function isAbandoned(id: string): Promise<boolean> {
  const owner = await readFile(join(LABS, PREFIX + id, OWNER), "utf8").catch(() => undefined);
  return owner !== undefined && !(await lives(owner));
}

/** As {@link Lab.adopt} noted them. */
async function processesOf(id: string): Promise<string[]> {
  const notes = join(LABS, PREFIX + id, PROCESSES);
  const names = await readdir(notes).catch(() => []);
  return Promise.all(names.map((name) => readFile(join(notes, name), "utf8").catch(() => "")));
}

async function labsWithDirectories(): Promise<string[]> {
  return (await readdir(LABS)).filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
}
