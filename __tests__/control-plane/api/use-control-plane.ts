import type { Pool } from "pg";
import type { ControlPlane, ControlPlaneProps } from "../../../control-plane/api/server";
import { DEFAULT_TIMING, type LeaseTiming } from "../../../control-plane/lease/timing";
import { grantTo } from "../../../control-plane/store/app-role";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { Operator, startCopy, TestWorker } from "./clients";

/** What the tests of a file share; each test has its own database. */
export interface TestControlPlane {
  readonly postgres: TestPostgres;
  readonly databaseUrl: string;
  readonly pool: Pool;
  /** The copies that run: one, unless the file asks for more. */
  readonly copies: { readonly controlPlane: ControlPlane; readonly logs: string[] }[];
  /** Of the first copy. */
  readonly url: string;
  readonly operator: Operator;
  /** A worker that is not registered yet, at one of the copies. */
  worker(workerId: string, copy?: number): TestWorker;
}

export interface ControlPlaneOptions {
  /** @default - the control plane's own */
  readonly timing?: LeaseTiming;
  /** @default 1 */
  readonly copies?: number;
  /** Settings of PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly props?: Partial<ControlPlaneProps>;
  /**
   * The copies run as a role that was granted what it needs.
   * @default false - it owns the tables
   */
  readonly ownsNothing?: boolean;
}

type Database = Awaited<ReturnType<TestPostgres["freshDatabase"]>>;

const ROLE = "holdfast_app";

async function createRole({ freshDatabase }: TestPostgres): Promise<void> {
  const { pool } = await freshDatabase({ migrated: false });
  await pool.query(`create role ${ROLE} login password '${ROLE}'`);
}

/** The address of the role; the pool stays the owner's. */
async function asRole({ pool, url }: Database): Promise<Database> {
  await grantTo(pool, ROLE);
  return { pool, url: Object.assign(new URL(url), { username: ROLE, password: ROLE }).href };
}

/** Gives the tests of a file one PostgreSQL, and each of them an operator and copies of the control plane on a database of its own. */
export function useControlPlane({
  timing = DEFAULT_TIMING,
  copies = 1,
  settings = {},
  props = {},
  ownsNothing = false,
}: ControlPlaneOptions = {}): TestControlPlane {
  jest.setTimeout(240_000);
  let postgres: TestPostgres;
  let database: Database;
  let running: Awaited<ReturnType<typeof startCopy>>[] = [];
  let operator: Operator;
  const urlOf = (copy: number): string => running[copy]?.controlPlane.url ?? "";

  beforeAll(async () => {
    postgres = await startTestPostgres(settings);
    if (ownsNothing) await createRole(postgres);
  });
  afterAll(() => postgres.stop());
  beforeEach(async () => {
    database = await postgres.freshDatabase();
    if (ownsNothing) database = await asRole(database);
    running = await Promise.all(Array.from({ length: copies }, () => startCopy(database.url, timing, props)));
    operator = await Operator.create(urlOf(0), database.url);
  });
  afterEach(() => Promise.all(running.map(({ controlPlane }) => controlPlane.stop())));

  return {
    get postgres() {
      return postgres;
    },
    get databaseUrl() {
      return database.url;
    },
    get pool() {
      return database.pool;
    },
    get copies() {
      return running;
    },
    get url() {
      return urlOf(0);
    },
    get operator() {
      return operator;
    },
    worker: (workerId, copy = 0) => new TestWorker(urlOf(copy), operator.deploymentToken, workerId),
  };
}
