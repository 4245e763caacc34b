import { chown } from "node:fs/promises";
import type { Aws } from "../host/aws";
import { run } from "../host/child";
import { writeFileAtomic } from "../host/files";
import { BootError } from "./boot-error";
import { type InlineContent, inlineBytes } from "./inline-content";

/** A file that is placed before the node config script runs. */
export interface HeldFile {
  readonly path: string;
  readonly user: string;
  readonly group: string;
  /** Octal, e.g. "0640". */
  readonly mode: string;
  readonly content: FileContent;
}

export type FileContent =
  | InlineContent
  /** ARN of a secret, fetched at boot. */
  | { readonly secret: string }
  /** Name of an SSM parameter, fetched and decrypted at boot. */
  | { readonly parameter: string };

/**
 * Places a file with its owner and mode. At no moment does the path show a half-written file, or one that others may read
 * before its owner and mode are set.
 *
 * @throws BootError if its owner does not exist; AwsError if its secret cannot be fetched.
 */
export async function placeFile(aws: Aws, file: HeldFile): Promise<void> {
  const [uid, gid] = await Promise.all([idOf("passwd", file.user, file.path), idOf("group", file.group, file.path)]);
  const content = await contentOf(aws, file.content);
  await writeFileAtomic(file.path, content, Number.parseInt(file.mode, 8));
  await chown(file.path, uid, gid);
}

async function contentOf(aws: Aws, content: FileContent): Promise<string | Uint8Array> {
  if ("text" in content || "base64" in content) return inlineBytes(content);
  if ("secret" in content) {
    const answer = await aws.call("secretsmanager", "GetSecretValue", { SecretId: content.secret });
    return typeof answer["SecretString"] === "string"
      ? answer["SecretString"]
      : Buffer.from(String(answer["SecretBinary"]), "base64");
  }
  const answer = await aws.call("ssm", "GetParameter", { Name: content.parameter, WithDecryption: true });
  return String((answer["Parameter"] as { readonly Value: string }).Value);
}

/** The number of a user or group, from every source that nsswitch.conf(5) names. */
async function idOf(database: "passwd" | "group", name: string, path: string): Promise<number> {
  if (name === "root") return 0;
  const entry = await run("getent", [database, name], { timeoutMs: 10_000 }).catch((cause) => {
    throw new BootError(
      {
        code: "file-owner-unknown",
        message: `${path}: this image has no ${database === "passwd" ? "user" : "group"} ${name}`,
        remedy: "use an owner that the image has, or leave it out and change it in the node config script",
      },
      { cause },
    );
  });
  return Number(entry.split(":")[2]);
}
