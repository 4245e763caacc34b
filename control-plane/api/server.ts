import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import { DEFAULT_TIMING, type LeaseTiming } from "../lease/timing";
import { countUnopenable } from "../store/catalog";
import { openDatabase, unusable } from "../store/database";
import { ensureOperator } from "../store/first-operator";
import { Heartbeats } from "../store/heartbeats";
import { findDeployments } from "../store/inventory";
import { groupedJobWrites } from "../store/job-writes";
import { migrate } from "../store/migrate";
import { ReadyJobs } from "../store/ready-jobs";
import type { Keyring } from "../store/seal";
import { pulse, sweep } from "../store/sweeper";
import type { PublishBacklog } from "./cloudwatch";
import type { ApiContext } from "./context";
import { keepHouse } from "./housekeeping";
import { addOperatorRoutes } from "./operator/routes";
import { publicQuestion } from "./public-question";
import { READ_ONLY } from "./refusal";
import { goRounds, type Rounds } from "./rounds";
import { Routes } from "./routes";
import { addStatusRoutes, type StatusPageAccess } from "./status-routes";
import { Telemetry } from "./telemetry";
import { Waker } from "./waker";
import { addWorkerRoutes } from "./worker-routes";

export interface ControlPlaneProps {
  readonly databaseUrl: string;
  readonly keyring: Keyring;
  readonly logger: Logger;
  /**
   * Intervals of the lease protocol.
   * @default - heartbeats every 5 s, workers stop after 15 s, jobs move after 30 s
   */
  readonly timing?: LeaseTiming;
  /**
   * Where the first start writes the token of the first operator.
   * @default - nowhere: without an operator, a warning is logged
   */
  readonly operatorTokenFile?: string;
  /** @default - "token" */
  readonly statusPage?: StatusPageAccess;
  /**
   * How long deleted jobs, closed sessions and ended tokens are kept.
   * @default 30
   */
  readonly retentionDays?: number;
  /**
   * How long entries of the audit log are kept, at least 90.
   * @default 365
   */
  readonly auditRetentionDays?: number;
  /**
   * Told each minute, by one of all copies, how much work waits in each pool.
   * @default - nobody is told
   */
  readonly publishBacklog?: PublishBacklog;
  /** @default - a free port */
  readonly port?: number;
  /** @default "127.0.0.1" */
  readonly host?: string;
  /**
   * How long a stop waits for what is under way, then again for what has to do with the database.
   * @default 10000
   */
  readonly stopGraceMs?: number;
}

export interface ControlPlane {
  readonly url: string;
  /**
   * Answers what is under way, parked claims included, then ends. What workers hold stays theirs. Connections that are busy for
   * longer than the grace are cut; a database that hangs is waited for once more as long, then left.
   */
  stop(): Promise<void>;
}

/** Starts one copy of the control plane. Any number may run on the same database; each takes requests, one at a time sweeps. */
export async function startControlPlane(props: ControlPlaneProps): Promise<ControlPlane> {
  const { logger, keyring, timing = DEFAULT_TIMING } = props;
  const pool = openDatabase(props.databaseUrl, 20);
  const applied = await migrate(pool, { waits: (why) => logger.warn(why) }).catch((error: unknown) => {
    throw unusable(error, props.databaseUrl);
  });
  if (applied.length > 0) logger.info({ applied }, "migrated the database");

  const operator = await ensureOperator(pool, props.operatorTokenFile);
  if (operator === "issued") logger.info({ file: props.operatorTokenFile }, "wrote the first operator's token");
  if (operator === "missing") {
    logger.warn("nobody can operate this: set HOLDFAST_OPERATOR_TOKEN_FILE and start again to have a token written");
  }

  const lacking = await countUnopenable(pool, keyring);
  if (lacking.size > 0) {
    const passwords = Object.fromEntries(lacking);
    logger.warn({ passwords }, "HOLDFAST_KEYRING lacks keys that sealed so many passwords: jobs that need them fail");
  }

  const ready = new ReadyJobs(pool);
  const waker = new Waker(pool, props.databaseUrl, ready);
  const heartbeats = new Heartbeats(pool, timing.serverLeaseMs);
  const telemetry = new Telemetry(pool, () => waker.size);
  const jobWrites = groupedJobWrites(pool, ready, keyring);
  const hasDeployment = findDeployments(pool);
  const api: ApiContext = { pool, keyring, timing, heartbeats, jobWrites, hasDeployment, waker, telemetry, logger };
  const routes = new Routes(api);
  addWorkerRoutes(routes, api);
  addOperatorRoutes(routes, api);
  addStatusRoutes(routes, api, props.statusPage ?? "token");
  addHealth(routes, api);

  waker.start();
  const keeping = keepTime(api);
  const housekeeping = keepHouse(api, {
    retentionDays: props.retentionDays ?? 30,
    auditRetentionDays: props.auditRetentionDays ?? 365,
    publishBacklog: props.publishBacklog,
  });
  const server = await listening(routes, props);
  const { port } = server.address() as AddressInfo;
  const url = `http://${props.host ?? "127.0.0.1"}:${port}`;
  logger.info({ url }, "listening");

  const stop = async (): Promise<void> => {
    const { stopGraceMs = 10_000 } = props;
    const closed = new Promise((resolve) => server.close(resolve));
    const cut = setTimeout(() => {
      logger.warn({ stopGraceMs }, "cutting connections that are still busy");
      server.closeAllConnections();
    }, stopGraceMs);
    const orderly = (async () => {
      await waker.stop();
      await keeping.stop();
      await housekeeping.stop();
      await heartbeats.flush();
      server.closeIdleConnections();
      await closed;
      await waker.tellRest();
      await pool.end();
      return "stopped";
    })();
    const late = pause(2 * stopGraceMs, "stopped without the database, which does not answer", { ref: false });
    logger.info(await Promise.race([orderly, late]));
    clearTimeout(cut);
  };
  let stopped: Promise<void> | undefined;
  return {
    url,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/**
 * A connection may rest longer than a worker does between two messages, and than a load balancer lets it, which is a minute as a rule: what
 * is sent on one that this side closes just then is lost.
 */
const KEEP_ALIVE_MS = 75_000;

async function listening(routes: Routes, { port = 0, host = "127.0.0.1" }: ControlPlaneProps): Promise<Server> {
  return await new Promise((resolve, reject) => {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, routes.listener);
    server.once("error", reject).listen(port, host, () => resolve(server));
  });
}

const READY = "ready";
/** A standby answers questions, and takes no heartbeat. */
const READINESS = `select case current_setting('transaction_read_only') when 'off' then '${READY}' else 'the database ${READ_ONLY}' end as status`;

function addHealth({ app }: Routes, { pool, telemetry }: ApiContext): void {
  app.get("/healthz", (c) => c.json({ status: "alive" }));
  const asked = publicQuestion(async () => (await pool.query<{ status: string }>(READINESS)).rows[0]?.status);
  app.get("/readyz", async (c) => {
    const status = (await asked()) ?? "the database does not answer";
    return c.json({ status }, status === READY ? 200 : 503);
  });
  app.get("/metrics", async (c) => {
    const figures = await telemetry.registry.metrics();
    return c.text(figures, 200, { "content-type": telemetry.registry.contentType });
  });
}

/** Pulses and sweeps until stopped. A round that fails is told and tried again: the leases wait in the database. */
function keepTime({ pool, timing, waker, telemetry, logger }: ApiContext): Rounds {
  return goRounds(timing.sweepMs, async () => {
    try {
      await pulse(pool, timing);
      const moved = await sweep(pool, timing);
      if (moved > 0) {
        logger.info({ moved }, "took jobs back from silent workers");
        telemetry.swept(moved);
        waker.jobsReady();
      }
    } catch (error) {
      logger.warn({ error: String(error) }, "the sweep failed and is tried again");
    }
  });
}
