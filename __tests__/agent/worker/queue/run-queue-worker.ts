import { createLog } from "../../../../agent/host/log";
import { type AgentEnd, type AgentPorts, type AgentProps, runAgent } from "../../../../agent/worker/agent";
import { daemonApi } from "../../../../agent/worker/daemon/daemon-api";
import { PortPool } from "../../../../agent/worker/daemon/free-port";
import { daemonQuirks } from "../../../../agent/worker/daemon/quirks";

/** What a test gives a worker: a queue, where daemons run, and what else matters to it. */
export type QueueWorker = Pick<AgentPorts, "controlPlane" | "host"> &
  Partial<Pick<AgentPorts, "log" | "cloud"> & Pick<AgentProps, "maxJobAgeMs">>;

/** A worker of a queue with two slots, until it has left. */
export function runQueueWorker({ maxJobAgeMs, ...given }: QueueWorker, stop: AbortSignal): Promise<AgentEnd> {
  return runAgent(
    {
      worker: { workerId: "w", agentVersion: "1", daemonVersion: "2.4.0", pool: "p", labels: {}, slots: 2 },
      drain: { mode: "handoff", deadlineSeconds: 60 },
      ...(maxJobAgeMs !== undefined && { maxJobAgeMs }),
    },
    {
      deploymentToken: async () => "",
      log: createLog(() => {}),
      ports: new PortPool(),
      quirks: daemonQuirks({ kind: "dbmazz", version: "2.4.0" }),
      api: daemonApi,
      holdLease: () => {},
      notify: async () => {},
      watchdogPeriodMs: undefined,
      cloud: undefined,
      ...given,
    },
    { stop, handOver: new AbortController().signal },
  );
}
