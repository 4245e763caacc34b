import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, fsyncSync, mkdtempSync, openSync, readdirSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { giveTo, type PostgresUser } from "./postgres-user";

export interface InitdbProps {
  /** The program. */
  readonly initdb: string;
  /** The cluster's directory. It is there once the whole cluster is. */
  readonly data: string;
  readonly passwordFile: string;
  readonly user: PostgresUser;
  /** Ends initdb when aborted; it removes what it has made. */
  readonly abandoned?: AbortSignal | undefined;
}

const OPTIONS = ["--username=holdfast", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"];

/**
 * Makes a cluster in a new directory beside the cluster's, which gets its name when all is on the disk: initdb writes
 * PG_VERSION long before it is done. The terminal's signals do not reach it.
 *
 * @throws Error with what initdb said, when something else is in the directory, or when abandoned.
 */
export async function makeCluster({ initdb, data, passwordFile, user, abandoned }: InitdbProps): Promise<void> {
  if (existsSync(data) && readdirSync(data).length > 0) {
    throw new Error(`${data} is not empty and holds no PostgreSQL cluster: remove it, or choose another directory`);
  }
  const parent = dirname(data);
  const prefix = `${basename(data)}.new-`;
  // An initdb that outlived who waited for it may still be at work there: it fails, and reaches nobody else's.
  const left = readdirSync(parent).filter((name) => name.startsWith(prefix));
  await Promise.all(left.map((name) => rm(join(parent, name), { recursive: true, force: true, maxRetries: 10 })));

  const made = mkdtempSync(join(parent, prefix));
  giveTo(user, made);
  const program = spawn(initdb, ["-D", made, `--pwfile=${passwordFile}`, ...OPTIONS], {
    ...user,
    cwd: "/",
    detached: true,
    signal: abandoned,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said, [status, signal]] = await Promise.all([text(program.stderr), once(program, "close")]);
  if (status !== 0) {
    await rm(made, { recursive: true, force: true, maxRetries: 10 });
    throw new Error(
      `initdb made no PostgreSQL cluster in ${parent}: ${said.trim() || `it ended with ${signal ?? status}`}`,
    );
  }
  renameSync(made, data);
  const folder = openSync(parent, "r");
  fsyncSync(folder);
  closeSync(folder);
}

/** Made one after the other as initdb's last work: template1, template0 and postgres. */
const DATABASES = 3;

/**
 * Refuses what an initdb that worked in the cluster's own place, as earlier versions had it do, has left when it was killed: no server
 * has ever run there, and databases are missing.
 *
 * @throws Error with what to do.
 */
export function refuseUnfinished(data: string): void {
  // Written by the first server; whatever is missing since then was lost.
  if (existsSync(join(data, "postmaster.opts"))) return;
  const base = join(data, "base");
  const databases = existsSync(base)
    ? readdirSync(base).filter((name) => existsSync(join(base, name, "PG_VERSION")))
    : [];
  if (databases.length >= DATABASES && existsSync(join(data, "global", "pg_control"))) return;
  throw new Error(
    `initdb was ended before it had finished the PostgreSQL cluster in ${data}, and nothing was ever stored there: ` +
      `move it away, with mv '${data}' '${data}.unfinished', and start again`,
  );
}
