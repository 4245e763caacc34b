import { randomUUID } from "node:crypto";
import type { DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";

/** What is kept of a job's daemon, a new job's each time. */
export const recordOf = (record: Partial<DaemonRecord> = {}): DaemonRecord => ({
  jobId: randomUUID(),
  fence: 1,
  name: "orders",
  onDisconnect: "stop",
  port: 1,
  slotName: "slot",
  tables: ["orders"],
  flushIntervalMs: 50,
  snapshotOnly: false,
  seq: -1,
  ...record,
});
