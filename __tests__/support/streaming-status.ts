import type { CdcStatus } from "../../agent/worker/daemon/daemon-api";

/** What a daemon says of itself that streams, has nothing to do, and never copied anything. */
export function streamingStatus(more: Partial<CdcStatus>): CdcStatus {
  return {
    state: "running",
    confirmed_lsn: 1n,
    pending_events: 0,
    slot_name: "",
    tables: [],
    snapshot_active: false,
    snapshot_chunks_total: 0,
    snapshot_chunks_done: 0,
    ...more,
  };
}
