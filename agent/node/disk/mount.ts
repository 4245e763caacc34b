import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { run } from "../../host/child";
import { type Log, reason } from "../../host/log";
import { BootError } from "../boot-error";

export interface Mount {
  readonly path: string;
  /** "259:1" */
  readonly deviceNumber: string;
  readonly type: string;
  readonly readOnly: boolean;
}

export interface MountRequest {
  readonly device: string;
  /** As detected on the device, not as configured. */
  readonly type: string;
  readonly path: string;
  readonly options: readonly string[];
}

/** Every mount this process sees, later ones on top: proc_pid_mountinfo(5). */
export async function mounts(): Promise<Mount[]> {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  return table
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [fields = "", types = ""] = line.split(" - ");
      const [, , deviceNumber = "", , path = "", options = ""] = fields.split(" ");
      const [type = "", , superOptions = ""] = types.split(" ");
      return {
        path: path.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
        deviceNumber,
        type,
        readOnly: [...options.split(","), ...superOptions.split(",")].includes("ro"),
      };
    });
}

/** What lies on top at `path`; undefined if it is a plain directory or does not exist. */
export async function mountAt(path: string): Promise<Mount | undefined> {
  return (await mounts()).findLast((mount) => mount.path === path);
}

/** Where a device is mounted already. */
export async function mountsOf(device: string): Promise<Mount[]> {
  const number = await deviceNumber(device);
  return (await mounts()).filter((mount) => mount.deviceNumber === number);
}

/** "major:minor" of a block device, as makedev(3) packs it. */
async function deviceNumber(device: string): Promise<string> {
  const { rdev } = await stat(device, { bigint: true });
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}

/**
 * Mounts a filesystem where it is not mounted yet and makes sure that it is what lies at the path, writable.
 *
 * The device node is used, not the UUID: it was found by volume id and probed a moment ago, while a volume restored from a snapshot
 * of another attached one has the same UUID.
 *
 * @throws BootError if something else is mounted at the path, or the filesystem only comes up read-only.
 */
export async function mountFilesystem(request: MountRequest, log: Log, timeoutMs: number): Promise<void> {
  const { device, type, path, options } = request;
  if (!(await mountAt(path))) {
    await guardMountPoint(path, log);
    const how = ["-t", type, ...(options.length ? ["-o", options.join(",")] : [])];
    await run("mount", [...how, device, path], { timeoutMs }).catch(async (error) => {
      // A mount that outlived its agent may have been faster.
      if (!(await mountsOf(device)).some((mount) => mount.path === path)) throw error;
    });
  }
  await assertMounted(request);
}

/**
 * The last check before anything may write to the path.
 *
 * @throws BootError unless the device is mounted there, writable if it should be.
 */
export async function assertMounted({ device, path, options }: Omit<MountRequest, "type">): Promise<void> {
  const mount = await mountAt(path);
  if (mount?.deviceNumber !== (await deviceNumber(device))) {
    throw new BootError({
      code: mount ? "mount-path-taken" : "not-mounted",
      message: mount
        ? `another filesystem (${mount.type}) is mounted at ${path}`
        : `${device} is not mounted at ${path}`,
      remedy: `look at findmnt ${path}, then run holdfast-node retry`,
    });
  }
  if (mount.readOnly && !options.includes("ro")) {
    throw new BootError({
      code: "mounted-read-only",
      message: `${path} came up read-only`,
      remedy: "look at dmesg for errors of the filesystem or the volume, repair them, then run holdfast-node retry",
    });
  }
}

/** While nothing is mounted here, nothing can be written here: an application started too early fails instead of filling the root disk. */
async function guardMountPoint(path: string, log: Log): Promise<void> {
  await mkdir(path, { recursive: true });
  const hidden = await readdir(path);
  if (hidden.length > 0) log.warn("the mount hides files of the image", { path, files: hidden.slice(0, 5) });
  // Some filesystems (overlayfs, tmpfs) have no such attribute; the mount itself does not depend on it.
  await run("chattr", ["+i", path], { timeoutMs: 10_000 }).catch((error) =>
    log.warn("mount point not protected", { path, reason: reason(error) }),
  );
}
