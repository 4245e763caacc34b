import type { Engine } from "./engine";
import { command, succeeds } from "./host-command";

/**
 * Holds on every machine: crun, podman's own choice, refuses hybrid cgroups, and the other two need a systemd or a journal that a
 * CI machine may lack.
 */
const SETTINGS = ["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"];

const run = (...args: string[]) => command("podman", ...SETTINGS, ...args);

/** Podman knows what systemd needs, and starts a container in two steps. */
export const PODMAN: Engine = {
  name: "podman",
  commands: ["podman", "runc", "mmdebstrap"],
  run,
  hasImage: (image) => succeeds("podman", "image", "exists", image),
  namespace: "given",
  createArguments: (namespace) => [
    `--network=ns:${namespace}`,
    "--systemd=always",
    "--log-driver=k8s-file",
    "--security-opt=unmask=/sys/dev/block",
  ],
  program: [],
  async start(name, prepare) {
    await run("init", name);
    const pid = Number(await run("inspect", "--format={{.State.Pid}}", name));
    await prepare(pid);
    await run("start", name);
    return pid;
  },
  async remove(name) {
    await run("rm", "--force", "--time=0", "--ignore", name);
  },
  shell: (name) => ["podman", "--runtime=runc", "exec", "-it", name, "/bin/bash", "-l"],
};
