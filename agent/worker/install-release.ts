import { createHash } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Aws } from "../host/aws";
import { replaceSymlink } from "../host/files";
import type { AgentRelease, DaemonRelease, Release } from "./config";
import { PATHS } from "./paths";

/** An architecture's name as EC2 writes it, and as the releases do. */
const RELEASE_NAMES = { x86_64: "amd64", arm64: "arm64" } as const;

/**
 * Fetches one version of the daemon and makes it the one that new jobs get.
 *
 * @param root directory that stands for /.
 * @throws Error naming the object and both checksums if they differ.
 */
export function installDaemonRelease(
  aws: Aws,
  release: DaemonRelease,
  architecture: keyof typeof RELEASE_NAMES,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const { version, sha256 } = release;
  const file = `dbmazz-linux-${RELEASE_NAMES[architecture]}`;
  const target = `${PATHS.daemons}/${version}/dbmazz`;
  return install(aws, { release, file, sha256: sha256[architecture], target, link: PATHS.daemon }, root, signal);
}

/**
 * Fetches the agent itself: user data has no room for it, and carries its version and checksum instead.
 *
 * @param root directory that stands for /.
 * @throws Error naming the object and both checksums if they differ.
 */
export function installAgentRelease(aws: Aws, release: AgentRelease, root: string, signal: AbortSignal): Promise<void> {
  const file = "worker-agent.mjs";
  const target = `${PATHS.agents}/${release.version}/${file}`;
  return install(aws, { release, file, sha256: release.sha256, target, link: PATHS.agent }, root, signal);
}

interface Installation {
  readonly release: Release;
  readonly file: string;
  readonly sha256: string | null | undefined;
  readonly target: string;
  readonly link: string;
}

/** Nothing is put in place before its checksum is right; the link changes in one step. */
async function install(
  aws: Aws,
  { release, file: name, sha256: expected, target, link }: Installation,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const { bucket, keyPrefix, version, region } = release;
  const key = `${keyPrefix}${version}/${name}`;
  if (!expected) throw new Error(`${key} has no checksum`);
  const path = root + target;
  const partial = `${path}.partial`;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const { body } = await aws.getObject({ bucket, key, region: region ?? aws.region });
  const hash = createHash("sha256");
  const file = await open(partial, "w", 0o755);
  try {
    for await (const chunk of body ?? []) {
      signal.throwIfAborted();
      hash.update(chunk);
      await file.writeFile(chunk);
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
  await rename(partial, path);
  await replaceSymlink(target, root + link);
}
