import { createHash } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import type { Aws } from "../host/aws";
import { replaceSymlink } from "../host/files";
import type { DaemonRelease } from "./config";
import { PATHS } from "./paths";

/** An architecture's name as EC2 writes it, and as the releases do. */
const RELEASE_NAMES = { x86_64: "amd64", arm64: "arm64" } as const;

/**
 * Fetches one version of the daemon, verifies it, and makes it the one that new jobs get. Nothing is put in place before
 * its checksum is right; the link changes in one step.
 *
 * @param root directory that stands for /.
 * @throws Error naming the object and both checksums if they differ.
 */
export async function installDaemonRelease(
  aws: Aws,
  release: DaemonRelease,
  architecture: keyof typeof RELEASE_NAMES,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const expected = release.sha256[architecture];
  if (!expected) throw new Error(`daemon ${release.version} has no checksum for ${architecture}`);
  const { bucket, keyPrefix, version, region } = release;
  const key = `${keyPrefix}${version}/dbmazz-linux-${RELEASE_NAMES[architecture]}`;
  const folder = `${root}${PATHS.daemons}/${version}`;
  const partial = `${folder}/dbmazz.partial`;

  await mkdir(folder, { recursive: true, mode: 0o755 });
  const { body } = await aws.getObject({ bucket, key, region: region ?? aws.region });
  const hash = createHash("sha256");
  const file = await open(partial, "w", 0o755);
  try {
    for await (const chunk of body ?? []) {
      signal.throwIfAborted();
      hash.update(chunk);
      await file.write(chunk);
    }
    await file.chmod(0o755);
    await file.sync();
  } finally {
    await file.close();
  }
  const actual = hash.digest("hex");
  if (actual !== expected) {
    await rm(partial);
    throw new Error(`s3://${bucket}/${key} has SHA-256 ${actual}, expected ${expected}`);
  }
  await rename(partial, `${folder}/dbmazz`);
  await replaceSymlink(`${PATHS.daemons}/${version}/dbmazz`, root + PATHS.daemon);
}
