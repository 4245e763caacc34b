import { randomUUID } from "node:crypto";
import { recordAudit } from "../../control-plane/store/audit";
import { transaction } from "../../control-plane/store/database";
import { seal } from "../../control-plane/store/seal";
import type { BenchSession, BenchStore } from "./plane";

const ENTRIES_AT_ONCE = 1_000;

/** Datasources with passwords of their own, put in at once; gives their ids. */
export async function putDatasources(store: BenchStore, count: number): Promise<string[]> {
  const { pool, deploymentId, keyring } = store;
  const ids = Array.from({ length: count }, () => randomUUID());
  const sealed = ids.map((id, index) =>
    seal(keyring, `password-${index}`, { deploymentId, datasourceId: id, version: 1 }),
  );
  await pool.query(
    `insert into datasources (id, deployment_id, name, engine, url, username, options, sealed_password)
     select id, $1, 'shop-' || n, 'postgres', 'postgres://shop-' || n || '.internal:5432/shop', 'cdc', '{}', sealed
     from unnest($2::uuid[], $3::text[]) with ordinality as put (id, sealed, n)`,
    [deploymentId, ids, sealed],
  );
  await pool.query("vacuum analyze datasources");
  return ids;
}

/** A job for each session, which runs it, from a datasource of its own and with figures of a minute ago, and an entry in the audit log. */
export async function putRunningJobs(
  store: BenchStore,
  sessions: readonly BenchSession[],
  datasources: readonly string[],
): Promise<void> {
  const { pool, deploymentId, datasourceId } = store;
  await pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state, fence, session_id,
       checkpoint_seq, checkpoint_phase, checkpoint_position)
     select $1, 'orders-' || n, source_id, $2, '{public.orders,public.customers}', true, 'default', 'running', 1, session_id,
       1, 'cdc', '0/16B3748'
     from unnest($3::uuid[], $4::uuid[]) with ordinality as put (session_id, source_id, n)`,
    [deploymentId, datasourceId, sessions.map(({ id }) => id), datasources],
  );
  await pool.query(
    `insert into job_metrics (job_id, fence, figures, measured_at)
     select id, fence, '{"lagBytes":1024,"lagMs":120,"eventsPerSecond":85.5,"eventsTotal":1200000,"memoryBytes":5242880,"cpuMillicores":12}',
       now() - interval '1 minute' from jobs where state = 'running'`,
  );
  await transaction(pool, async (tx) => {
    const entries = sessions.map(({ id }) => ({ deploymentId, actor: "bench", action: "job.create", subject: id }));
    recordAudit(tx, ...entries);
  });
  await pool.query("vacuum analyze jobs, job_metrics, audit_log");
}

/** Entries of the audit log, each chained to the one before. */
export async function putAuditEntries({ pool, deploymentId, datasourceId }: BenchStore, count: number): Promise<void> {
  const entry = { deploymentId, actor: "bench", action: "datasource.change", subject: datasourceId };
  for (let left = count; left > 0; left -= ENTRIES_AT_ONCE) {
    const entries = Array.from({ length: Math.min(left, ENTRIES_AT_ONCE) }, () => entry);
    await transaction(pool, async (tx) => recordAudit(tx, ...entries));
  }
  await pool.query("vacuum analyze audit_log");
}

/** An upgrade of all workers that has come to its end. */
export async function putUpgrade({ pool, deploymentId }: BenchStore): Promise<void> {
  await pool.query(
    `with upgrade as (
       insert into upgrades (deployment_id, pool, program, version, url, sha256, signature, downgrade, wave_size, soak, deadline, state, ended_at)
       values ($1, 'default', 'agent', '2', 'https://releases/agent', '', '', false, 100, '1 minute', '10 minutes', 'done', now())
       returning id)
     insert into upgrade_workers (upgrade_id, worker_id, state, settled_at)
     select upgrade.id, worker_id, 'healthy', now() from upgrade, sessions`,
    [deploymentId],
  );
}
