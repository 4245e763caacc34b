import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PACKAGES = [
  "systemd",
  "systemd-sysv",
  "libnss-systemd",
  "dbus",
  "cloud-init",
  "curl",
  "ca-certificates",
  "netbase",
];
/** What node itself is linked against. */
const LIBRARIES = ["libstdc++6"];
const CUSTOMIZE = join(__dirname, "customize.sh");
const SOURCES = "/etc/apt/sources.list.d";

/**
 * The container engine as it must be called here: runc, since crun refuses hybrid cgroups, and with low
 * limits, since raising them to podman's own needs a capability that a CI machine may lack.
 */
export function podman(args: readonly string[], options: { readonly timeoutMs?: number } = {}): string {
  return execFileSync("podman", args, {
    encoding: "utf8",
    env: { ...process.env, CONTAINERS_CONF: configuration() },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: options.timeoutMs ?? 60_000,
  }).trim();
}

/** A Debian with systemd and cloud-init that takes itself for an EC2 instance; built once per recipe. */
export function instanceImage(): string {
  const recipe = createHash("sha256").update(PACKAGES.concat(LIBRARIES).join()).update(readFileSync(CUSTOMIZE));
  const image = `localhost/holdfast-instance:${recipe.digest("hex").slice(0, 12)}`;
  if (podman(["images", "--quiet", image]) === "") build(image);
  return image;
}

function build(image: string): void {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-image-"));
  try {
    const root = join(folder, "root.tar");
    execFileSync(
      "mmdebstrap",
      [
        "--quiet",
        "--variant=minbase",
        `--include=${[...PACKAGES, ...LIBRARIES].join()}`,
        `--customize-hook=${CUSTOMIZE}`,
        ...["doc", "man", "locale"].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`),
        "bookworm",
        root,
        ...readdirSync(SOURCES)
          .filter((name) => /^debian\.(sources|list)$/.test(name))
          .map((name) => join(SOURCES, name)),
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const changes = ['CMD ["/lib/systemd/systemd"]', "STOPSIGNAL SIGRTMIN+3"];
    podman(["import", ...changes.flatMap((change) => ["--change", change]), root, image], { timeoutMs: 300_000 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let written: string | undefined;

function configuration(): string {
  if (written) return written;
  written = join(mkdtempSync(join(tmpdir(), "holdfast-podman-")), "containers.conf");
  writeFileSync(
    written,
    `[containers]
default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`,
  );
  return written;
}
