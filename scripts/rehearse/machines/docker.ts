import { writeFile } from "node:fs/promises";
import type { Engine } from "./engine";
import { command, succeeds } from "./host-command";
import { inMachine } from "./machine-files";

const run = (...args: string[]) => command("docker", ...args);

/** In the container's /run, which is empty at every start: there once systemd may start. */
const PREPARED = "/run/prepared";

/**
 * Waits, and makes what Docker does not: /sys/fs/cgroup writable for systemd, where it is of version 2, and mounts that propagate.
 * https://systemd.io/CONTAINER_INTERFACE/
 */
const BOOT = `until [ -e ${PREPARED} ]; do sleep 0.02; done
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || mount -o remount,rw /sys/fs/cgroup
mount --make-rshared / && exec /lib/systemd/systemd`;

/** Docker: what Podman does for systemd by itself is said, and a start is one step. */
export const DOCKER: Engine = {
  name: "docker",
  commands: ["docker"],
  run,
  hasImage: (image) => succeeds("docker", "image", "inspect", image),
  namespace: "own",
  createArguments: () => [
    "--network=none",
    "--cgroupns=private",
    "--env=container=docker",
    "--stop-signal=SIGRTMIN+3",
    "--log-driver=json-file",
    // Docker's own profile lets nobody mount, where there is AppArmor.
    "--security-opt=apparmor=unconfined",
    ...["/run", "/run/lock", "/tmp"].map((path) => `--tmpfs=${path}:exec`),
  ],
  program: ["/bin/sh", "-c", BOOT],
  async start(name, prepare) {
    await run("start", name);
    const pid = Number(await run("inspect", "--format={{.State.Pid}}", name));
    await prepare(pid);
    await writeFile(inMachine(pid, PREPARED), "");
    return pid;
  },
  async remove(name) {
    // One that is gone already is an error of it, or not, by its version.
    await run("rm", "--force", name).catch(() => undefined);
  },
  shell: (name) => ["docker", "exec", "-it", name, "/bin/bash", "-l"],
};
