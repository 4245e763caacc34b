import { setTimeout as pause } from "node:timers/promises";
import type { Bench, Measurement, Progress } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { BeatingFleet } from "./beating-fleet";
import { hasNginx, startNginxFront } from "./nginx-front";
import { connectionsWithin, requireConnections } from "./open-files";
import { ParkedFleet } from "./parked-fleet";
import { openSessions, startCopy, startStore, TIMING } from "./plane";
import { steadily } from "./steadily";
import { startTlsFront } from "./tls-front";

const WORKERS = 10_000;
/** The others ask anew just then: each claim is parked for less than a minute. */
const PARKED = 0.99 * WORKERS;
const COMING_SECONDS = 20;
const SAMPLE_MS = 1_000;

/** What happens to a large fleet whose control plane is started again. */
export const reconnectStorm: Bench = {
  name: "reconnect-storm",
  about: `${WORKERS} workers that beat every ${TIMING.heartbeatMs / 1_000} s and wait for work, each with a TLS connection for either, whose one copy is started again, behind nginx where it is installed, which keeps their connections, and behind Node.js, which lets them go with the copy's: how soon claims are parked and every lease renewed, whether one ran out, and what copy, TLS in front of it and PostgreSQL use of one processor from the order to stop until then; the workers are a process on the same machine`,
  run: async (progress) => {
    requireConnections(WORKERS);
    return [
      ...(hasNginx() ? [await measure("nginx", startNginxFront, progress)] : []),
      await measure("Node.js", startTlsFront, progress),
      {
        case: "limit",
        figures: {
          "all back s": 60,
          "unrenewed s": TIMING.workerLeaseMs / 1_000,
          "leases lost": 0,
          "servers % core": 100,
        },
      },
    ];
  },
};

/** @param name what ends TLS */
async function measure(name: string, startFront: typeof startTlsFront, progress: Progress): Promise<Measurement> {
  const beating = connectionsWithin(2 * WORKERS) - WORKERS;
  const store = await startStore();
  let copy = await startCopy(store);
  const port = Number(new URL(copy.url).port);
  const front = await startFront(copy, WORKERS + beating, store.directory);
  const waiting = new ParkedFleet(copy, front.addresses);
  const living = new BeatingFleet(front.addresses, beating, 1);
  try {
    const sessions = await openSessions(store, WORKERS);
    const tokens = sessions.map(({ token }) => token);
    await steadily(WORKERS / COMING_SECONDS, tokens, async (token) => waiting.wait(token));
    await waiting.allParked(PARKED);
    progress(`TLS by ${name}: claims are parked`);
    living.begin(tokens, COMING_SECONDS * 1_000);
    await living.allRenewed(0);
    await pause(TIMING.heartbeatMs);
    progress(`TLS by ${name}: leases are renewed, the copy is started again`);

    const connections = () => waiting.connectionsMade + living.connectionsMade;
    const cpuMs = () => ({
      copy: usageOf(copy.pid).cpuMs,
      front: front.pids.reduce((sum, pid) => sum + usageOf(pid).cpuMs, 0),
      postgres: store.cpuMs(),
      workers: (({ user, system }) => (user + system) / 1_000)(process.cpuUsage()),
    });
    living.forget();
    const connectionsBefore = connections();
    const before = cpuMs();
    const stoppedAt = performance.now();
    await copy.stop();
    copy = await startCopy(store, { port });
    const upSeconds = (performance.now() - stoppedAt) / 1_000;
    const busiest = watch(() => {
      const { copy, front, postgres } = cpuMs();
      return copy + front + postgres;
    });
    await Promise.all([waiting.allParked(PARKED), living.allRenewed(stoppedAt + upSeconds * 1_000)]);
    const backSeconds = (performance.now() - stoppedAt) / 1_000;
    const after = cpuMs();
    // The new copy's begins with it.
    const used = {
      copy: after.copy,
      front: after.front - before.front,
      postgres: after.postgres - before.postgres,
      workers: after.workers - before.workers,
    };
    const core = (ms: number) => ms / backSeconds / 10;
    return {
      case: `${WORKERS} workers, TLS by ${name}`,
      figures: {
        "connections made": connections() - connectionsBefore,
        "copy up s": upSeconds,
        "all back s": backSeconds,
        "unrenewed s": living.longestUnrenewedMs / 1_000,
        "leases lost": living.leasesLost,
        "servers % core": core(used.copy + used.front + used.postgres),
        "busiest second": busiest.stop(),
        "copy %": core(used.copy),
        "TLS %": core(used.front),
        "Postgres %": core(used.postgres),
        "workers %": core(used.workers),
      },
    };
  } finally {
    living.stop();
    waiting.stop();
    await front.stop();
    await copy.stop();
    await store.stop();
  }
}

/** Of one processor, in %, in the busiest of the seconds until it is stopped. @param cpuMs processor time used so far */
function watch(cpuMs: () => number): { stop(): number } {
  let most = 0;
  let [ms, at] = [cpuMs(), performance.now()];
  const sample = setInterval(() => {
    const [msNow, now] = [cpuMs(), performance.now()];
    most = Math.max(most, ((msNow - ms) * 100) / (now - at));
    [ms, at] = [msNow, now];
  }, SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(sample);
      return most;
    },
  };
}
