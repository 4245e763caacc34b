/**
 * Secrets at rest: AES-256-GCM (NIST SP 800-38D) with a data key per record, itself wrapped by one of the keyring's keys. What the secret
 * belongs to is authenticated with it, so that a sealed value moved to another record does not open.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** Keys of 32 bytes by id. New values are sealed with the current one; the others only open what they sealed. */
export interface Keyring {
  readonly current: string;
  readonly keys: ReadonlyMap<string, Buffer>;
}

/** What a secret belongs to. */
export interface SealContext {
  readonly deploymentId: string;
  readonly datasourceId: string;
  readonly version: number;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/**
 * Reads a keyring: `id:hex` pairs, separated by commas, the current one first. Throws an error that names the fault, never the key.
 */
export function parseKeyring(text: string): Keyring {
  const entries = text.split(",").map((entry) => entry.trim().split(":"));
  const keys = new Map<string, Buffer>();
  for (const [id, hex] of entries) {
    if (!id || !/^[0-9a-z-]{1,32}$/.test(id))
      throw new Error("a key of the keyring has no valid id: write id:64-hex-digits");
    if (!hex || !/^[0-9a-f]{64}$/i.test(hex)) throw new Error(`key ${id} of the keyring is not 64 hex digits`);
    if (keys.has(id)) throw new Error(`key ${id} stands twice in the keyring`);
    keys.set(id, Buffer.from(hex, "hex"));
  }
  return { current: [...keys.keys()][0] ?? "", keys };
}

/** Seals a secret: `v1.<key id>.<wrapped data key>.<ciphertext>`. */
export function seal(keyring: Keyring, secret: string, context: SealContext): string {
  const dataKey = randomBytes(KEY_BYTES);
  const wrapped = encrypt(keyOf(keyring, keyring.current), dataKey, authenticated(context, keyring.current));
  const ciphertext = encrypt(dataKey, Buffer.from(secret, "utf8"), authenticated(context));
  return ["v1", keyring.current, wrapped.toString("base64url"), ciphertext.toString("base64url")].join(".");
}

/** Opens a sealed secret. Throws when it was altered, belongs elsewhere, or was sealed with a key the keyring lacks. */
export function unseal(keyring: Keyring, sealed: string, context: SealContext): string {
  const { keyId, wrapped, ciphertext } = parse(sealed);
  const dataKey = decrypt(keyOf(keyring, keyId), wrapped, authenticated(context, keyId));
  return decrypt(dataKey, ciphertext, authenticated(context)).toString("utf8");
}

/** Wraps the data key anew with the current key; the secret itself is not touched. Gives the same text when it is current already. */
export function rewrap(keyring: Keyring, sealed: string, context: SealContext): string {
  const { keyId, wrapped, ciphertext } = parse(sealed);
  if (keyId === keyring.current) return sealed;
  const dataKey = decrypt(keyOf(keyring, keyId), wrapped, authenticated(context, keyId));
  const again = encrypt(keyOf(keyring, keyring.current), dataKey, authenticated(context, keyring.current));
  return ["v1", keyring.current, again.toString("base64url"), ciphertext.toString("base64url")].join(".");
}

function parse(sealed: string): { keyId: string; wrapped: Buffer; ciphertext: Buffer } {
  const [format, keyId, wrapped, ciphertext, ...rest] = sealed.split(".");
  if (format !== "v1" || !keyId || !wrapped || !ciphertext || rest.length > 0) throw new Error("not a sealed secret");
  return { keyId, wrapped: Buffer.from(wrapped, "base64url"), ciphertext: Buffer.from(ciphertext, "base64url") };
}

function keyOf(keyring: Keyring, id: string): Buffer {
  const key = keyring.keys.get(id);
  if (!key) throw new Error(`the secret was sealed with key ${id}, which the keyring lacks`);
  return key;
}

function authenticated({ deploymentId, datasourceId, version }: SealContext, keyId = ""): Buffer {
  return Buffer.from(JSON.stringify([deploymentId, datasourceId, version, keyId]), "utf8");
}

function encrypt(key: Buffer, plaintext: Buffer, context: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(context);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, box: Buffer, context: Buffer): Buffer {
  if (box.length < NONCE_BYTES + TAG_BYTES) throw new Error("not a sealed secret");
  const decipher = createDecipheriv("aes-256-gcm", key, box.subarray(0, NONCE_BYTES)).setAAD(context);
  decipher.setAuthTag(box.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(box.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new Error("the secret was altered, or sealed for another datasource, version or key", { cause });
  }
}
