import { join } from "node:path";
import { DEFAULT_TIMING } from "../../control-plane/lease/timing";
import { copyStore } from "../../control-plane/store/copy-store";
import { startPrivateCluster } from "../../control-plane/store/private-cluster";
import type { Bench } from "../bench/bench";
import { BeatingFleet } from "./beating-fleet";
import { openSessions, putJobs, startCopy, startStore } from "./plane";
import { putAuditEntries, putRunningJobs } from "./population";

const JOBS = 10_000;
const WORKERS = 1_000;
const ENTRIES = 50_000;
const LEASE_SECONDS = DEFAULT_TIMING.workerLeaseMs / 1_000;

/** How long a control plane is away that moves to another PostgreSQL. */
export const move: Bench = {
  name: "move",
  about: `a store of ${JOBS} jobs, one of them run by each of ${WORKERS} workers, and ${ENTRIES} entries of the audit log is copied to another PostgreSQL on the same machine, while the workers go on to beat every ${DEFAULT_TIMING.heartbeatMs / 1_000} s: rows and time of the copy; how long no heartbeat is answered, from the order to stop the copy of the control plane to the first answer of one on the new store; and the longest that a worker's lease is not renewed, beside the lease`,
  run: async (progress) => {
    const store = await startStore();
    const target = await startPrivateCluster({
      directory: join(store.directory, "target"),
      abandoned: store.abandoned,
    });
    let copy = await startCopy(store, { timing: DEFAULT_TIMING });
    const port = Number(new URL(copy.url).port);
    const living = new BeatingFleet([copy], 1);
    try {
      const sessions = await openSessions(store, WORKERS);
      const source = sessions.map(() => store.datasourceId);
      await putRunningJobs(store, sessions, source);
      await putJobs(store, "waiting-", JOBS - WORKERS);
      await putAuditEntries(store, ENTRIES - WORKERS);
      const tokens = sessions.map(({ token }) => token);
      living.begin(tokens, DEFAULT_TIMING.heartbeatMs);
      await living.allRenewed(0);
      progress("the store is filled, and moves");

      await store.pool.end();
      const stoppedAt = performance.now();
      await copy.stop();
      living.forget();
      const copyAt = performance.now();
      const copied = await copyStore(store.url, target.url);
      const copiedAt = performance.now();
      copy = await startCopy({ ...store, url: target.url }, { port, timing: DEFAULT_TIMING });
      await living.allRenewed(copiedAt);

      const rows = copied.reduce((sum, table) => sum + table.rows, 0);
      const copySeconds = (copiedAt - copyAt) / 1_000;
      const downSeconds = ((living.firstAnsweredAt ?? Number.NaN) - stoppedAt) / 1_000;
      return [
        {
          case: `${JOBS} jobs, ${WORKERS} workers`,
          figures: {
            rows,
            "copy s": copySeconds,
            "rows/s": rows / copySeconds,
            "down s": downSeconds,
            "unrenewed s": living.longestUnrenewedMs / 1_000,
            "leases lost": living.leasesLost,
            "down / lease": downSeconds / LEASE_SECONDS,
          },
        },
        {
          case: "limit",
          figures: { "down s": LEASE_SECONDS, "unrenewed s": LEASE_SECONDS, "leases lost": 0, "down / lease": 1 },
        },
      ];
    } finally {
      living.stop();
      await copy.stop();
      await target.stop();
      await store.stop();
    }
  },
};
