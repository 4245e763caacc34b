import { command } from "./host-command";

/** On every container, with the lab's id: what is removed when the lab ends. */
export const LAB_LABEL = "holdfast.lab";

/**
 * Holds on every machine: crun, podman's own choice, refuses hybrid cgroups, and the other two need a systemd or a journal that a
 * CI machine may lack.
 */
const ENGINE = ["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"];

/** Low enough that they need not be raised, which takes a capability that a CI machine may lack. */
export const LIMITS = ["--ulimit=nofile=16384:16384", "--ulimit=nproc=4096:4096"];

/** Runs podman. @throws Error with what it printed where it fails. */
export function podman(...args: string[]): Promise<string> {
  return command("podman", ...ENGINE, ...args);
}
