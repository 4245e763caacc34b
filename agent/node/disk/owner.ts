import { run } from "../../host/child";
import type { Log } from "../../host/log";

export interface Owner {
  readonly user: string;
  readonly group: string;
}

/**
 * Hands a mounted filesystem to its owner. The tree is walked only if its root belongs to someone else: chown changes a directory
 * after its contents, so a walk that was cut short starts again.
 * A user or group that the image does not have (yet) is logged; the node config script may create and use it.
 */
export async function giveTree(path: string, { user, group }: Owner, log: Log, timeoutMs: number): Promise<void> {
  for (const [database, name] of [
    ["passwd", user],
    ["group", group],
  ] as const) {
    const known = await run("getent", [database, name], { timeoutMs }).then(
      () => true,
      () => false,
    );
    if (!known) return log.warn("owner of the data volume does not exist here", { path, [database]: name });
  }
  const owner = (await run("stat", ["--format=%U:%G", path], { timeoutMs })).trim();
  if (owner === `${user}:${group}`) return;
  await run("chown", ["--recursive", `${user}:${group}`, path], { timeoutMs });
}
