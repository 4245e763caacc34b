import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { command, succeeds } from "../host-command";

/** What cloud-init, the node agent and a person in a shell need. */
const PACKAGES = [
  "systemd",
  "systemd-sysv",
  "libnss-systemd",
  "dbus",
  "cloud-init",
  "curl",
  "ca-certificates",
  "netbase",
  "e2fsprogs",
  "xfsprogs",
  "iproute2",
  "procps",
  // What Node.js itself is linked against.
  "libstdc++6",
];

/** Debian's packages of the cluster software in the examples. */
export const CLUSTER_PACKAGES = {
  etcd: ["etcd-server", "etcd-client"],
  zookeeper: ["zookeeperd", "default-jre-headless", "netcat-openbsd"],
} as const;

const LOCK = "/run/lock/holdfast-image.lock";

/**
 * The image of an instance with `packages` beyond a base of systemd and cloud-init; built, in about a minute, where this machine has
 * none of this recipe.
 *
 * @returns its name.
 * @throws Error with what the build printed.
 */
export async function instanceImage(packages: readonly string[] = []): Promise<string> {
  const wanted = [...PACKAGES, ...packages].join();
  const recipe = createHash("sha256").update(wanted);
  for (const script of ["build.sh", "customize.sh"]) recipe.update(await readFile(join(__dirname, script)));
  const image = `localhost/holdfast-instance:${recipe.digest("hex").slice(0, 12)}`;
  // Two that want it at once build it once; one that is there is not waited for.
  if (!(await succeeds("podman", "image", "exists", image)))
    await command("flock", LOCK, join(__dirname, "build.sh"), image, wanted);
  return image;
}
