import { run } from "../../host/child";

/**
 * Lets a mounted filesystem use the whole of its device; nothing happens if it does already.
 *
 * @param type as detected; ext2 cannot grow while mounted and stays as it is.
 */
export async function growFilesystem(type: string, device: string, path: string, timeoutMs: number): Promise<void> {
  if (type === "xfs") await run("xfs_growfs", ["-d", path], { timeoutMs });
  else if (type === "ext3" || type === "ext4") await run("resize2fs", [device], { timeoutMs });
}
