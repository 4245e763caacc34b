import { spawnSync } from "node:child_process";
import { chownSync } from "node:fs";

/** As whom PostgreSQL's programs run; empty for whoever runs this. */
export interface PostgresUser {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * An unprivileged user when called as root, as whom PostgreSQL refuses to run.
 *
 * @throws Error when there is none.
 */
export function postgresUser(): PostgresUser {
  if (process.getuid?.() !== 0) return {};
  for (const name of ["postgres", "nobody"]) {
    const id = (flag: string): string => spawnSync("id", [flag, name], { encoding: "utf8" }).stdout.trim();
    const [uid, gid] = [id("-u"), id("-g")];
    if (uid !== "" && gid !== "") return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    "PostgreSQL does not run as root, and there is neither a user postgres nor nobody: start as another user",
  );
}

/** Makes the user the owner of a file or directory. */
export function giveTo({ uid, gid }: PostgresUser, path: string): void {
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}
