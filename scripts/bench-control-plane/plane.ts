import { createHash, randomBytes, randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "pg";
import { createDatasource, createDeployment } from "../../control-plane/store/catalog";
import { openDatabase } from "../../control-plane/store/database";
import { migrate } from "../../control-plane/store/migrate";
import { startPrivateCluster } from "../../control-plane/store/private-cluster";
import { type Keyring, parseKeyring } from "../../control-plane/store/seal";
import { issueToken } from "../../control-plane/store/tokens";
import { usageOf } from "../bench-fleet/usage";
import { type ControlPlaneTiming, controlPlaneProgram } from "../chaos/control-plane-program";
import { type ServerProcess, startServerProcess } from "../chaos/server-process";
import { fieldsFromState } from "../proc-stat";
import { untilEnded } from "../until-ended";

/** Under which everything is sealed. */
export const KEYRING = `k1:${"11".repeat(32)}`;
/** As large fleets have it. */
export const TIMING: ControlPlaneTiming = { heartbeatMs: 10_000, workerLeaseMs: 40_000, serverLeaseMs: 60_000 };
const HOUR_SECONDS = 3_600;

/** A PostgreSQL of its own, durable as it is delivered, with the control plane's schema and one deployment. */
export interface BenchStore {
  readonly url: string;
  readonly pool: Pool;
  readonly deploymentId: string;
  readonly datasourceId: string;
  readonly operatorToken: string;
  readonly keyring: Keyring;
  readonly directory: string;
  /** By a signal that ends the program: what else runs on the folder ends at once. */
  readonly abandoned: AbortSignal;
  /** Processor time of the server and all of its processes, in ms. */
  cpuMs(): number;
  stop(): Promise<void>;
}

export async function startStore(): Promise<BenchStore> {
  const { directory, abandoned, remove } = makeFolder();
  const cluster = join(directory, "postgres");
  const settings = { max_connections: "100" };
  const server = await startPrivateCluster({ directory: cluster, settings, abandoned });
  const pool = openDatabase(server.url, 24);
  await migrate(pool);
  const deploymentId = await createDeployment(pool, "bench", "bench");
  const connection = { engine: "postgres", url: "postgres://db/shop", user: "u", password: "p", options: {} };
  const datasource = { name: "db", ...connection };
  const keyring = parseKeyring(KEYRING);
  const datasourceId = await createDatasource(pool, keyring, deploymentId, datasource, "bench");
  const { token: operatorToken } = await issueToken(pool, { kind: "operator", deploymentId: null });
  return {
    url: server.url,
    pool,
    deploymentId,
    datasourceId,
    operatorToken,
    keyring,
    directory,
    abandoned,
    cpuMs: () =>
      serverProcesses(cluster)
        .map(usageOf)
        .reduce((sum, { cpuMs, endedCpuMs }) => sum + cpuMs + endedCpuMs, 0),
    stop: async () => {
      if (!pool.ending) await pool.end();
      await server.stop();
      remove();
    },
  };
}

export interface BenchFolder {
  readonly directory: string;
  /** Aborted by a signal that ends the program, which then takes the folder with it. */
  readonly abandoned: AbortSignal;
  remove(): void;
}

/** A new folder, which PostgreSQL's user may pass through to what is its own. */
export function makeFolder(): BenchFolder {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  chmodSync(directory, 0o711);
  const abandoned = new AbortController();
  const remove = untilEnded(() => {
    abandoned.abort();
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  });
  return { directory, abandoned: abandoned.signal, remove };
}

function serverProcesses(cluster: string): number[] {
  const postmaster = readFileSync(join(cluster, "data", "postmaster.pid"), "utf8").split("\n")[0] ?? "";
  const isChild = (pid: string): boolean => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      return fieldsFromState(stat)[1] === postmaster;
    } catch {
      return false;
    }
  };
  return [postmaster, ...readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isChild(name))].map(Number);
}

export interface CopyProps {
  /** To listen on. @default - a free one */
  readonly port?: number;
  /** @default - the one that everything is sealed under */
  readonly keyring?: string;
  /** @default - as large fleets have it */
  readonly timing?: ControlPlaneTiming;
}

/** A copy of the control plane. */
export async function startCopy(
  { url, directory }: Pick<BenchStore, "url" | "directory">,
  { port = 0, keyring = KEYRING, timing = TIMING }: CopyProps = {},
): Promise<ServerProcess> {
  const server = await startServerProcess({
    name: "the control plane",
    ...controlPlaneProgram({ databaseUrl: url, keyring, port, timing }),
    logFile: join(directory, "control-plane.log"),
  });
  let hasEnded = false;
  const kill = untilEnded(() => {
    if (!hasEnded) process.kill(server.pid, "SIGKILL");
  });
  return {
    ...server,
    stop: async () => {
      await server.stop();
      hasEnded = true;
      kill();
    },
  };
}

/** Open sessions with valid leases, as after so many registrations; gives their tokens. */
export async function openSessions(
  { pool, deploymentId }: BenchStore,
  count: number,
  slots = 4,
): Promise<BenchSession[]> {
  const sessions = Array.from({ length: count }, () => ({
    id: randomUUID(),
    tokenId: randomUUID(),
    token: `hfw_${randomBytes(32).toString("base64url")}`,
  }));
  const ids = sessions.map(({ id }) => id);
  await pool.query(
    `insert into sessions (id, deployment_id, worker_id, pool, labels, slots, features, agent_version, daemon_version, state)
     select id, $2, 'w-' || id, 'default', '{}', $3, '{stop,drain,test_connection}', '1', '1', 'open' from unnest($1::uuid[]) id`,
    [ids, deploymentId, slots],
  );
  await pool.query("insert into leases select id, now() + make_interval(secs => $2) from unnest($1::uuid[]) id", [
    ids,
    HOUR_SECONDS,
  ]);
  await pool.query(
    `insert into tokens (id, kind, deployment_id, session_id, hash)
     select token_id, 'worker', $2, id, hash from unnest($1::uuid[], $3::uuid[], $4::bytea[]) as issued (id, token_id, hash)`,
    [
      ids,
      deploymentId,
      sessions.map(({ tokenId }) => tokenId),
      sessions.map(({ token }) => createHash("sha256").update(token).digest()),
    ],
  );
  await pool.query("vacuum analyze sessions, leases, tokens");
  return sessions;
}

export interface BenchSession {
  readonly id: string;
  readonly tokenId: string;
  readonly token: string;
}

/** Jobs that wait to be claimed, put in at once. */
export async function putJobs(
  { pool, deploymentId, datasourceId }: BenchStore,
  prefix: string,
  count: number,
  readySinceSeconds = 0,
): Promise<void> {
  await pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state, not_before)
     select $1, $3 || n, $2, $2, '{t}', false, 'default', 'pending', now() - make_interval(secs => $5)
     from generate_series(1, $4::int) n`,
    [deploymentId, datasourceId, prefix, count, readySinceSeconds],
  );
}
