import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "../engine";
import { engineHere } from "../engine-here";
import { command } from "../host-command";

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

/** How an engine makes an image of a name, with packages that are separated by commas; and the files of its recipe. */
const RECIPES: Readonly<Record<Engine["name"], Recipe>> = {
  podman: {
    files: ["build.sh", "customize.sh"],
    build: (image, packages) => [join(__dirname, "build.sh"), image, packages],
  },
  docker: {
    files: ["Dockerfile", "customize.sh"],
    build: (image, packages) => [
      "docker",
      "build",
      "--quiet",
      `--build-arg=PACKAGES=${packages}`,
      `--tag=${image}`,
      __dirname,
    ],
  },
};

interface Recipe {
  readonly files: readonly string[];
  readonly build: (image: string, packages: string) => readonly string[];
}

/**
 * The image of an instance with `packages` beyond a base of systemd and cloud-init; built, in about a minute, where this machine has
 * none of this recipe.
 *
 * @returns its name.
 * @throws Error with what the build printed.
 */
export async function instanceImage(packages: readonly string[] = []): Promise<string> {
  const engine = engineHere();
  const { files, build } = RECIPES[engine.name];
  const wanted = [...PACKAGES, ...packages].join();
  const recipe = createHash("sha256").update(wanted);
  for (const file of files) recipe.update(await readFile(join(__dirname, file)));
  const image = `localhost/holdfast-instance:${recipe.digest("hex").slice(0, 12)}`;
  // Two that want it at once build it once; one that is there is not waited for.
  if (!(await engine.hasImage(image))) await command("flock", LOCK, ...build(image, wanted));
  return image;
}
