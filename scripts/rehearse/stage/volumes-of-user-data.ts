import { gunzipSync } from "node:zlib";

/** The volumes that a node's user data names, as its agent would read them there. */
export function volumesOfUserData(userData: Buffer | undefined): readonly string[] {
  if (userData === undefined) return [];
  const isPacked = userData[0] === 0x1f && userData[1] === 0x8b;
  const text = (isPacked ? gunzipSync(userData) : userData).toString("utf8");
  return [...new Set(text.match(/\bvol-[0-9a-f]{8,17}\b/g))];
}
