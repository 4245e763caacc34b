import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { Action } from "../../../control-plane/protocol";

export type WantedUpgrade = Extract<Action, { kind: "upgrade" }>;

/** What a release is signed by: the checksum bound to its program and version, so that no old release passes for a new one. */
export function releaseStatement({
  program,
  version,
  sha256,
}: Pick<WantedUpgrade, "program" | "version" | "sha256">): string {
  return `holdfast-release\n${program}\n${version}\n${sha256}\n`;
}

/** @throws Error when the text is not an Ed25519 public key in PEM. */
export function releaseKey(pem: string): KeyObject {
  const key = createPublicKey(pem);
  if (key.asymmetricKeyType !== "ed25519") {
    throw new Error(
      `the release key is ${key.asymmetricKeyType}: make an Ed25519 one (openssl genpkey -algorithm ed25519)`,
    );
  }
  return key;
}

/** Whether the holder of the key has signed this program in this version (Ed25519, RFC 8032; base64). */
export function isSigned(release: WantedUpgrade, key: KeyObject): boolean {
  return verify(null, Buffer.from(releaseStatement(release)), key, Buffer.from(release.signature, "base64"));
}
