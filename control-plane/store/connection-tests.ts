/** Tests of a connection, from a worker that could run a job with it. */
import type { Pool } from "pg";
import type { Action, Request } from "../protocol/messages";
import { recordAudit } from "./audit";
import { readConnection } from "./catalog";
import { type Queryable, transaction } from "./database";
import type { DatasourceRef } from "./datasources";
import type { Actor } from "./jobs";
import type { Keyring } from "./seal";

export interface WantedTest {
  readonly datasource: DatasourceRef;
  readonly role: "source" | "sink";
  readonly pool: string;
  readonly deadlineMs: number;
}

export interface AskedTest {
  readonly id: string;
  readonly sessionId: string;
}

/** True of session `s` of a query while it owes an answer. */
export const OWES_TEST = `exists (
  select 1 from connection_tests t where t.session_id = s.id and t.answered_at is null and t.expires_at > now())`;

/**
 * Asks a worker of the pool to test a connection: one whose lease is valid and which understands the request; rather one that does not
 * drain, whose claim waits and brings it the request at once, and of those one with a free slot: an earlier agent claims for no others. Of
 * equals the one that was asked longest ago.
 */
export async function askForTest(
  pool: Pool,
  { datasource, role, pool: workers, deadlineMs }: WantedTest,
  actor: Actor,
): Promise<AskedTest | "not_found" | "no_worker"> {
  return await transaction(pool, async (tx) => {
    const known = await tx.query(
      "select 1 from datasources where id = $1 and deployment_id = $2 and deleted_at is null",
      [datasource.id, datasource.deploymentId],
    );
    if (known.rows.length === 0) return "not_found";
    const { rows } = await tx.query<AskedTest>(
      `insert into connection_tests (deployment_id, datasource_id, role, session_id, expires_at)
       select $1, $2, $3, s.id, now() + make_interval(secs => $5)
       from sessions s join leases l on l.session_id = s.id
       where s.deployment_id = $1 and s.pool = $4 and s.state = 'open' and l.expires_at > now()
         and 'test_connection' = any(s.features)
       order by s.draining, (select count(*) from jobs j where j.session_id = s.id) >= s.slots,
         (select max(t.asked_at) from connection_tests t where t.session_id = s.id) nulls first, s.id
       limit 1
       returning id, session_id as "sessionId"`,
      [datasource.deploymentId, datasource.id, role, workers, deadlineMs / 1_000],
    );
    const asked = rows[0];
    if (!asked) return "no_worker";
    recordAudit(tx, {
      deploymentId: datasource.deploymentId,
      actor,
      action: "datasource.test",
      subject: datasource.id,
      detail: { role, sessionId: asked.sessionId },
    });
    return asked;
  });
}

/** What a session is to test, credentials included. A test whose credentials cannot be opened has failed, without the worker. */
export async function readOwedTests(pool: Pool, keyring: Keyring, sessionId: string): Promise<Action[]> {
  const { rows } = await pool.query<{ id: string; datasource_id: string; role: "source" | "sink"; left_ms: number }>(
    `select id, datasource_id, role, ceil(extract(epoch from expires_at - now()) * 1000)::int as left_ms from connection_tests
     where session_id = $1 and answered_at is null and expires_at > now() order by asked_at limit 10`,
    [sessionId],
  );
  const actions: Action[] = [];
  for (const { id: testId, datasource_id, role, left_ms: deadlineMs } of rows) {
    const connection = await readConnection(pool, keyring, datasource_id);
    if (connection instanceof Error) {
      const step = { step: "auth", result: "failed", ms: 0, detail: connection.message } as const;
      await answerTest(pool, sessionId, { testId, ok: false, steps: [step] }, "control-plane");
    } else if (connection) actions.push({ kind: "test_connection", testId, role, deadlineMs, connection });
  }
  return actions;
}

/** Keeps the first answer to a test; false when the session was not asked. An answer that comes late is kept too. */
export async function answerTest(
  pool: Pool,
  sessionId: string,
  { testId, ok, steps }: Request<"connection-test">,
  actor: Actor = `session:${sessionId}`,
): Promise<boolean> {
  return await transaction(pool, async (tx) => {
    const { rows } = await tx.query<{ deploymentId: string; subject: string; answered: boolean }>(
      `select deployment_id as "deploymentId", datasource_id as subject, answered_at is not null as answered
       from connection_tests where id = $1 and session_id = $2 for update`,
      [testId, sessionId],
    );
    const test = rows[0];
    if (!test || test.answered) return test !== undefined;
    await tx.query("update connection_tests set answered_at = now(), ok = $2, steps = $3 where id = $1", [
      testId,
      ok,
      JSON.stringify(steps),
    ]);
    const { deploymentId, subject } = test;
    const entry = { deploymentId, actor, action: "datasource.tested", subject };
    recordAudit(tx, { ...entry, detail: { testId, ok } });
    return true;
  });
}

/** How a test stands: `waiting` until it is `answered`, or `expired` without an answer. */
export async function readTest(
  db: Queryable,
  deploymentId: string,
  testId: string,
): Promise<Record<string, unknown> | undefined> {
  const { rows } = await db.query(
    `select t.id, t.role, s.worker_id as "workerId", t.ok, coalesce(t.steps, '[]') as steps,
       case when t.answered_at is not null then 'answered' when t.expires_at <= now() then 'expired' else 'waiting' end as state
     from connection_tests t join sessions s on s.id = t.session_id where t.id = $1 and t.deployment_id = $2`,
    [testId, deploymentId],
  );
  return rows[0];
}
