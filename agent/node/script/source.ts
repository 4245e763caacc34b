import { createHash } from "node:crypto";
import type { Aws } from "../../host/aws";
import { writeFileAtomic } from "../../host/files";
import { BootError } from "../boot-error";
import { type InlineContent, inlineBytes } from "../inline-content";

/** Where the node config script comes from. */
export type ScriptSource = InlineContent | { readonly s3: PinnedObject };

/** An object that is the same at every boot of a launch template version. */
export interface PinnedObject {
  readonly bucket: string;
  readonly key: string;
  /** Null for the object's current version: then only the checksum pins it. */
  readonly versionId: string | null;
  /** Hexadecimal; null to trust the version id. */
  readonly sha256: string | null;
}

/**
 * Writes the node config script to `path`. There is no second source: a script that cannot be fetched as pinned fails the boot, so
 * two nodes of one template version never run different code.
 *
 * @throws AwsError if S3 refuses; BootError if the content is not the pinned one.
 */
export async function placeScript(aws: Aws, source: ScriptSource, path: string): Promise<void> {
  await writeFileAtomic(path, "s3" in source ? await fetchPinned(aws, source.s3) : inlineBytes(source), 0o700);
}

async function fetchPinned(aws: Aws, { bucket, key, versionId, sha256 }: PinnedObject): Promise<Buffer> {
  const response = await aws.getObject({ bucket, key, ...(versionId === null ? {} : { versionId }) });
  const content = Buffer.from(await response.arrayBuffer());
  const found = createHash("sha256").update(content).digest("hex");
  if (sha256 !== null && found !== sha256) {
    throw new BootError({
      code: "script-changed",
      message: `s3://${bucket}/${key} has SHA-256 ${found}, the launch template expects ${sha256}`,
      remedy: "apply again with the checksum of the script that is meant, or put the former object back",
    });
  }
  return content;
}
