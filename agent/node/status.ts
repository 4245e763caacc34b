import type { BootState } from "./state";

/** How the boot stands, for the person at the terminal. */
export function statusText(state: BootState | undefined): string {
  if (!state)
    return "the boot has not started: look at systemctl status holdfast-node and /var/log/cloud-init-output.log";
  const { cluster, nodeId, instanceId, outcome, step, since, failure } = state;
  const node = `node ${nodeId} of ${cluster} (${instanceId})`;
  if (outcome === "ready") return `${node} is ready since ${since}`;
  if (!failure) return `${node} is at step ${step} since ${since}`;
  return [
    `${node} failed at step ${failure.step} at ${since}`,
    `${failure.code}: ${failure.message}`,
    `next: ${failure.remedy}`,
  ].join("\n");
}

/** 0 ready, 1 failed, 2 running, 3 not started. */
export function exitStatus(state: BootState | undefined): number {
  return state ? { ready: 0, failed: 1, running: 2 }[state.outcome] : 3;
}
