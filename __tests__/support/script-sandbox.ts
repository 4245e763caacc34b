import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Like the agent: sourced, under `set -e`, one function per process. */
const CALL = 'set -e\nsource "$1"\nshift\n"$@"\n';

/** What every node has, as far as the scripts use it; each refuses what the real one would. */
const SYSTEM: Readonly<Record<string, string>> = {
  // Units are the ones of the image and those in /etc/systemd/system.
  systemctl: `
echo "systemctl $*" >>"$SANDBOX/calls"
case $1 in
  daemon-reload) exit 0 ;;
  enable | restart | is-active) unit=\${*: -1} ;;
  *) echo "Unknown command verb $1." >&2; exit 1 ;;
esac
[ -e "$SANDBOX/etc/systemd/system/$unit.service" ] || grep -qx "$unit" "$SANDBOX/units" || { echo "Unit $unit.service not found." >&2; exit 5; }
[ "$1" != is-active ] || echo activating`,
  // Owners are those of the image; the files stay the tester's.
  install: `
args=()
while [ $# -gt 0 ]; do
  case $1 in
    -o | -g) grep -qx "$2" "$SANDBOX/users" || { echo "install: invalid user '$2'" >&2; exit 1; }; shift ;;
    *) args+=("$1") ;;
  esac
  shift
done
exec /usr/bin/install "\${args[@]}"`,
  runuser: `[ "$1 $3" = "-u --" ] && grep -qx "$2" "$SANDBOX/users" || exit 1; shift 3; exec "$@"`,
  // Time passes: what the cluster says next is in the next numbered folder; a script that goes on waiting after the last is ended.
  sleep: `
next=$(($(cat "$SANDBOX/now") + 1))
[ -d "$SANDBOX/moments/$next" ] || { echo "still waiting at the end" >&2; kill -KILL $PPID; }
echo $next >"$SANDBOX/now"`,
};

export interface SandboxOptions {
  /** Path of the node config script. */
  readonly script: string;
  /** Units, and users, that the image has. */
  readonly units?: readonly string[];
  readonly users?: readonly string[];
  /** Programs by absolute path or, found through PATH, by name: bash, or another language by its `#!`. */
  readonly programs: Readonly<Record<string, string>>;
  /** Files that lie on the node before the script runs, by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** The end of a call. */
export interface CallEnd {
  /** Null for a call that was still waiting when the last moment was over. */
  readonly status: number | null;
  readonly output: string;
}

/**
 * A node on which a node config script runs: the paths /etc, /data and /opt of the script lie in a directory, and the programs that
 * it calls are fakes. No time passes.
 */
export class ScriptSandbox {
  readonly #root = mkdtempSync(join(tmpdir(), "holdfast-example-"));
  readonly #script: string;

  public constructor({ script, units = [], users = [], programs, files }: SandboxOptions) {
    this.#script = this.write("/script.sh", this.#inside(readFileSync(script, "utf8")));
    this.write("/units", units.map((unit) => `${unit}\n`).join(""));
    this.write("/users", users.map((user) => `${user}\n`).join(""));
    this.write("/calls", "");
    mkdirSync(join(this.#root, "etc/systemd/system"), { recursive: true });
    mkdirSync(join(this.#root, "data"));
    for (const [name, program] of Object.entries({ ...SYSTEM, ...programs })) {
      const text = program.startsWith("#!") ? program : `#!/bin/bash\n${program}\n`;
      this.write(name.startsWith("/") ? name : `/bin/${name}`, text, 0o755);
    }
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  /** Calls a function of the script, as the agent does. */
  public call(name: "configure_cluster_node" | "wait_for_healthy_cluster", nodeId: string, nodeIp: string): CallEnd {
    const { status, stdout, stderr, error } = spawnSync(
      "/bin/bash",
      ["-c", CALL, "node-config", this.#script, name, nodeId, nodeIp],
      {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        cwd: "/",
        env: { PATH: `${join(this.#root, "bin")}:/usr/sbin:/usr/bin:/sbin:/bin`, SANDBOX: this.#root, LANG: "C.UTF-8" },
      },
    );
    if (error) throw error;
    return { status, output: `${stdout}${stderr}` };
  }

  /** What the cluster says from now on: one record per moment, of file name to text. */
  public moments(...moments: readonly Readonly<Record<string, string>>[]): void {
    rmSync(join(this.#root, "moments"), { recursive: true, force: true });
    this.write("/now", "1\n");
    moments.forEach((files, i) => {
      mkdirSync(join(this.#root, "moments", String(i + 1)), { recursive: true });
      for (const [name, text] of Object.entries(files)) this.write(`/moments/${i + 1}/${name}`, text);
    });
  }

  public write(path: string, text: string, mode = 0o644): string {
    const file = join(this.#root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
    return file;
  }

  /** A file of the node, with its paths as the script has them; undefined if there is none. */
  public read(path: string): string | undefined {
    const file = join(this.#root, path);
    return existsSync(file) ? readFileSync(file, "utf8").replaceAll(this.#root, "") : undefined;
  }

  /** Of systemctl, in order. */
  public get calls(): readonly string[] {
    return (this.read("/calls") ?? "").split("\n").filter(Boolean);
  }

  public remove(): void {
    rmSync(this.#root, { recursive: true });
  }

  #inside(text: string): string {
    return text
      .replace(/(?<![\w/])\/(etc|data|opt)\//g, `${this.#root}/$1/`)
      .replace(/(?<![\w/])\/data$/gm, `${this.#root}/data`);
  }
}
