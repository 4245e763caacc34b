import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import type { Placement } from "../../../control-plane/lease/placement";
import { DEFAULT_TIMING, grantLastsMs } from "../../../control-plane/lease/timing";
import { type Request, refOf } from "../../../control-plane/protocol";
import {
  type Assignment,
  assignmentOf,
  readHeldJobs,
  sendForConnections,
} from "../../../control-plane/store/assignments";
import { createDatasource, createDeployment } from "../../../control-plane/store/catalog";
import type { NewJob } from "../../../control-plane/store/create";
import { transaction } from "../../../control-plane/store/database";
import type { Report, Start } from "../../../control-plane/store/decide";
import type { Beating } from "../../../control-plane/store/heartbeats";
import { groupedJobWrites, type JobWrites } from "../../../control-plane/store/job-writes";
import { ReadyJobs } from "../../../control-plane/store/ready-jobs";
import { type Keyring, parseKeyring } from "../../../control-plane/store/seal";
import { openSession, type Ref, registerSession } from "../../../control-plane/store/sessions";
import { issueToken } from "../../../control-plane/store/tokens";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { registrationOf } from "../../support/registration";

export const KEYRING = parseKeyring(`k1:${"11".repeat(32)}`);

const NOBODY = "00000000-0000-0000-0000-000000000000";

/** What a worker was given when it registered. */
interface Registered extends Placement {
  readonly tokenId: string;
}

/** A deployment with two datasources, and short ways to its workers and jobs. */
export class TestFleet {
  readonly writes: JobWrites;
  private readonly registered = new Map<string, Registered>();

  private constructor(
    readonly pool: Pool,
    readonly deploymentId: string,
    readonly datasourceId: string,
    /** Of an operator of the deployment. */
    readonly tokenId: string,
  ) {
    this.writes = groupedJobWrites(pool, new ReadyJobs(pool), KEYRING);
  }

  static async create(pool: Pool, name = "shop"): Promise<TestFleet> {
    const deploymentId = await createDeployment(pool, name, "test");
    const datasource = {
      name: "orders-db",
      engine: "postgres",
      url: "postgres://db.internal:5432/shop",
      user: "cdc",
      password: "canary-password",
      options: {},
    };
    const datasourceId = await createDatasource(pool, KEYRING, deploymentId, datasource, "test");
    const { id: tokenId } = await issueToken(pool, { kind: "operator", deploymentId });
    return new TestFleet(pool, deploymentId, datasourceId, tokenId);
  }

  /** The same deployment, as another copy of the control plane writes it. */
  another(): TestFleet {
    return new TestFleet(this.pool, this.deploymentId, this.datasourceId, this.tokenId);
  }

  described(name: string, props: Partial<NewJob> = {}): NewJob {
    return {
      name,
      sourceId: this.datasourceId,
      sinkId: this.datasourceId,
      tables: ["public.orders"],
      snapshot: false,
      options: {},
      pool: "default",
      labels: {},
      priority: 100,
      onDisconnect: "stop",
      maxRetries: 10,
      ...props,
    };
  }

  /** A job that waits to be claimed. */
  async job(name: string, props: Partial<NewJob> = {}): Promise<string> {
    return (await this.create(name, { props })).id;
  }

  /** @param options.run false: it stays at rest */
  async create(
    name: string,
    { props = {}, run = true }: { readonly props?: Partial<NewJob>; readonly run?: boolean } = {},
  ): Promise<{ id: string; isGranted: boolean }> {
    const { deploymentId, tokenId } = this;
    const id = randomUUID();
    const job = this.described(name, props);
    const created = await this.writes.create({ id, deploymentId, tokenId, job, run, actor: "test" });
    if (created === "refused") throw new Error("the operator's token is not valid");
    return { id, isGranted: created === "granted" };
  }

  async register(workerId: string, props: Partial<Request<"register">> = {}): Promise<string> {
    const sessionId = randomUUID();
    const wanted = registrationOf(workerId, sessionId, { slots: 10, ...props });
    const { deploymentId } = this;
    const { id } = await transaction(this.pool, async (tx) => {
      await registerSession(tx, deploymentId, wanted);
      return await issueToken(tx, { kind: "worker", deploymentId, sessionId });
    });
    const { pool, labels } = wanted;
    this.registered.set(sessionId, { tokenId: id, deploymentId, pool, labels });
    return sessionId;
  }

  /** What a worker of the session claims with; that of a session which nobody registered is worth nothing. */
  registration(sessionId: string): Registered {
    const { deploymentId } = this;
    return this.registered.get(sessionId) ?? { tokenId: NOBODY, deploymentId, pool: "default", labels: {} };
  }

  /** A session as it sends heartbeats. */
  beating(sessionId: string): Beating {
    return { sessionId, tokenId: this.registration(sessionId).tokenId };
  }

  /** A session with a valid lease. */
  async worker(workerId: string, props: Partial<Request<"register">> = {}): Promise<string> {
    const sessionId = await this.register(workerId, props);
    await openSession(this.pool, sessionId, [], DEFAULT_TIMING.serverLeaseMs);
    return sessionId;
  }

  async claim(sessionId: string, slots = 1, claimId = randomUUID()): Promise<Ref[]> {
    const grantMs = grantLastsMs(DEFAULT_TIMING);
    const claimed = await this.writes.claim({ ...this.registration(sessionId), sessionId, claimId, slots, grantMs });
    return claimed === "refused" ? [] : claimed.granted.map(refOf);
  }

  readonly start = async (start: Omit<Start, "tokenId">) =>
    await this.writes.start({ ...start, tokenId: this.registration(start.sessionId).tokenId });

  readonly report = async (report: Omit<Report, "tokenId">) =>
    await this.writes.report({ ...report, tokenId: this.registration(report.sessionId).tokenId });

  /** Claims one job and says that its daemon starts. */
  async run(sessionId: string): Promise<Ref> {
    const [granted] = await this.claim(sessionId);
    if (!granted) throw new Error("nothing to claim");
    if ((await this.start({ sessionId, ...granted })) !== "started") throw new Error("the job did not start");
    return granted;
  }

  /** What the session gets of a job that it holds with this fence, or why its passwords cannot be opened. */
  async assignment(sessionId: string, ref: Ref, keyring: Keyring = KEYRING): Promise<Assignment | Error | undefined> {
    const { jobs, connections } = await transaction(this.pool, async (tx) => {
      const jobs = await readHeldJobs(tx, [{ ...ref, sessionId }]);
      return { jobs, connections: sendForConnections(tx, keyring, jobs) };
    });
    const opened = await connections;
    return jobs.map((job) => assignmentOf(job, opened))[0];
  }

  async row(jobId: string): Promise<Record<string, unknown>> {
    const { rows } = await this.pool.query("select * from jobs where id = $1", [jobId]);
    return rows[0];
  }

  /** Lets a session's lease run out, without waiting for it. */
  async expireLease(sessionId: string): Promise<void> {
    await this.pool.query("update leases set expires_at = now() - interval '1 second' where session_id = $1", [
      sessionId,
    ]);
  }
}

/** A PostgreSQL server for the test file, and fleets in databases of their own. */
export function useFleets() {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startTestPostgres();
  }, 120_000);
  afterAll(() => postgres.stop(), 60_000);
  return {
    get postgres() {
      return postgres;
    },
    freshFleet: async (): Promise<TestFleet> => TestFleet.create((await postgres.freshDatabase()).pool),
  };
}
