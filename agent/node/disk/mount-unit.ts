import { access } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../host/child";
import { writeFileAtomic } from "../../host/files";

export interface MountUnit {
  /** For `systemctl status`: "Data volume vol-0123 of node 00". */
  readonly description: string;
  readonly uuid: string;
  readonly type: string;
  readonly path: string;
  readonly options: readonly string[];
}

const UNIT_FOLDER = "/etc/systemd/system";
const TIMEOUT_MS = 30_000;

/**
 * Has systemd mount the filesystem at every later boot, by UUID. A unit that says `RequiresMountsFor=<path>` then starts
 * after the mount or not at all. Does nothing where systemd does not run, see sd_booted(3).
 */
export async function installMountUnit(unit: MountUnit): Promise<void> {
  if (!(await exists("/run/systemd/system"))) return;
  const name = (await run("systemd-escape", ["--path", "--suffix=mount", unit.path], { timeoutMs: TIMEOUT_MS })).trim();
  await writeFileAtomic(join(UNIT_FOLDER, name), mountUnitText(unit));
  await run("systemctl", ["daemon-reload"], { timeoutMs: TIMEOUT_MS });
  await run("systemctl", ["enable", name], { timeoutMs: TIMEOUT_MS });
}

/** systemd.mount(5) */
export function mountUnitText({ description, uuid, type, path, options }: MountUnit): string {
  const literal = (text: string) => text.replaceAll("%", "%%");
  return [
    "[Unit]",
    `Description=${literal(description)}`,
    "",
    "[Mount]",
    `What=/dev/disk/by-uuid/${uuid}`,
    `Where=${literal(path)}`,
    `Type=${type}`,
    ...(options.length ? [`Options=${literal(options.join(","))}`] : []),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n");
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
