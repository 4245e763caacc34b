/** Upgrade campaigns: a version is given to a few workers at a time, and to no more once one of them is worse off with it. */
import type { Pool } from "pg";
import type { LeaseTiming } from "../lease/timing";
import type { Action, Request } from "../protocol/messages";
import { type AuditEntry, recordAudit } from "./audit";
import { CatalogConflict } from "./catalog";
import { type Queryable, type Transaction, transaction } from "./database";
import { EVERYTHING, type Listed, limited } from "./inventory";
import type { Actor } from "./jobs";
import { hasGrace } from "./sweeper";
import { judgeWorkers, VERSION } from "./upgrade-verdicts";

export interface NewUpgrade {
  readonly pool: string;
  readonly program: "agent" | "daemon";
  readonly version: string;
  readonly url: string;
  readonly sha256: string;
  readonly signature: string;
  readonly downgrade: boolean;
  /** Workers that may be without proof of health at the same time. */
  readonly waveSize: number;
  readonly soakMs: number;
  readonly deadlineMs: number;
}

/** True of session `s` of a query while its worker is to upgrade. */
export const OWES_UPGRADE = `exists (
  select 1 from upgrade_workers w join upgrades u on u.id = w.upgrade_id
  where w.worker_id = s.worker_id and w.settled_at is null and u.deployment_id = s.deployment_id and u.state = 'running'
    and 'upgrade' = any(s.features))`;

/**
 * Begins an upgrade with its first wave, and gives the sessions that were asked. Throws a `CatalogConflict` while another upgrade of the
 * same program runs in the pool.
 */
export async function createUpgrade(
  pool: Pool,
  deploymentId: string,
  wanted: NewUpgrade,
  actor: Actor,
): Promise<{ id: string; asked: readonly string[] }> {
  return await transaction(pool, async (tx) => {
    const { rows } = await tx.query<{ id: string }>(
      `insert into upgrades (deployment_id, pool, program, version, url, sha256, signature, downgrade, wave_size, soak, deadline)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, make_interval(secs => $10), make_interval(secs => $11))
       on conflict do nothing returning id`,
      [
        deploymentId,
        wanted.pool,
        wanted.program,
        wanted.version,
        wanted.url,
        wanted.sha256,
        wanted.signature,
        wanted.downgrade,
        wanted.waveSize,
        wanted.soakMs / 1_000,
        wanted.deadlineMs / 1_000,
      ],
    );
    const id = rows[0]?.id;
    if (!id)
      throw new CatalogConflict(`an upgrade of the ${wanted.program} runs in pool ${wanted.pool}: abort it first`);
    const { pool: workers, program, version } = wanted;
    const asked = await askNext(tx, id, wanted.waveSize);
    const detail = { pool: workers, program, version };
    recordAudit(tx, { deploymentId, actor, action: "upgrade.create", subject: id, detail });
    return { id, asked };
  });
}

/** What an operator may do to an upgrade that has not ended: from which states, and to which. */
const STEPS = {
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused"], to: "running" },
  abort: { from: ["running", "paused"], to: "aborted" },
} as const;

export type UpgradeStep = keyof typeof STEPS;
export const UPGRADE_STEPS = Object.keys(STEPS) as UpgradeStep[];

/**
 * While an upgrade is paused or aborted no further worker is asked, and those that were asked and have not begun are not asked again.
 * Time in a pause counts against nobody's deadline. False when no upgrade of this id is in a state from which the step leads.
 */
export async function stepUpgrade(
  pool: Pool,
  deploymentId: string,
  id: string,
  step: UpgradeStep,
  actor: Actor,
): Promise<boolean> {
  return await transaction(pool, async (tx) => {
    const { from, to } = STEPS[step];
    const { rowCount } = await tx.query(
      `update upgrades set state = $4, detail = null, ended_at = case when $4 = 'aborted' then now() end
       where id = $1 and deployment_id = $2 and state = any($3)`,
      [id, deploymentId, from, to],
    );
    if (rowCount !== 1) return false;
    if (step === "resume") {
      await tx.query("update upgrade_workers set asked_at = now() where upgrade_id = $1 and settled_at is null", [id]);
    }
    recordAudit(tx, { deploymentId, actor, action: `upgrade.${step}`, subject: id });
    return true;
  });
}

/** The newest first, each with how many workers were asked and how many of them are healthy. A page is of those after the one with an id. */
export async function listUpgrades(db: Queryable, deploymentId: string, page = EVERYTHING): Promise<Listed[]> {
  const { rows } = await db.query(
    `select u.id, u.pool, u.program, u.version, u.state, u.detail, u.wave_size as "waveSize", u.created_at as "createdAt",
       w.asked, w.healthy
     from upgrades u, lateral (
       select count(*) as asked, count(*) filter (where state = 'healthy') as healthy from upgrade_workers where upgrade_id = u.id
     ) w
     where u.deployment_id = $1
       and ($2::uuid is null or (u.created_at, u.id) < (select created_at, id from upgrades where id = $2))
     order by u.created_at desc, u.id desc ${limited(page)}`,
    [deploymentId, page.after || null],
  );
  return rows;
}

/** The workers that an upgrade asked, in the order of their ids. */
export async function listUpgradeWorkers(
  db: Queryable,
  deploymentId: string,
  id: string,
  page = EVERYTHING,
): Promise<Listed[] | "not_found"> {
  const upgrade = await db.query("select 1 from upgrades where id = $1 and deployment_id = $2", [id, deploymentId]);
  if (upgrade.rows.length === 0) return "not_found";
  const { rows } = await db.query(
    `select worker_id as "workerId", state, detail from upgrade_workers
     where upgrade_id = $1 and worker_id > $2 order by worker_id ${limited(page)}`,
    [id, page.after],
  );
  return rows;
}

/** What a session is asked to install. */
export async function readOwedUpgrades(db: Queryable, sessionId: string): Promise<Action[]> {
  const { rows } = await db.query<Omit<Extract<Action, { kind: "upgrade" }>, "kind">>(
    `select u.id as "campaignId", u.program, u.version, u.url, u.sha256, u.signature, u.downgrade
     from sessions s join upgrade_workers w on w.worker_id = s.worker_id and w.settled_at is null
       join upgrades u on u.id = w.upgrade_id and u.deployment_id = s.deployment_id and u.state = 'running'
     where s.id = $1 order by u.created_at limit 2`,
    [sessionId],
  );
  return rows.map((upgrade) => ({ kind: "upgrade", ...upgrade }));
}

interface Noted {
  readonly deploymentId: string;
  readonly detail: Record<string, unknown>;
}

/**
 * Notes how far a worker is. What is settled stays, unless one that was healthy is worse off later; what was told before is not told again.
 * An agent that says it is healthy and registered as another version is not believed. One that drains, and says that it has failed before it
 * ran the version, is let go: nothing that it says of the version is held against it.
 */
export async function noteUpgrade(
  pool: Pool,
  sessionId: string,
  { campaignId, state, detail }: NonNullable<Request<"heartbeat">["upgrade"]>,
  drains: boolean,
): Promise<void> {
  await transaction(pool, async (tx) => {
    const entry = { actor: `session:${sessionId}`, action: "upgrade.worker", subject: campaignId };
    if (state === "failed") {
      const { rows } = await tx.query<Noted>(
        `delete from upgrade_workers w using upgrades u, sessions s
         where s.id = $1 and u.id = $2 and w.upgrade_id = u.id and s.worker_id = w.worker_id and s.deployment_id = u.deployment_id
           and w.settled_at is null and (s.draining or $3) and ${VERSION} <> u.version
         returning u.deployment_id as "deploymentId",
           jsonb_build_object('workerId', w.worker_id, 'state', 'left', 'detail', $4::text) as detail`,
        [sessionId, campaignId, drains, detail ?? null],
      );
      if (rows.length > 0) return recordAudit(tx, ...rows.map((row) => ({ ...row, ...entry })));
    }
    const { rows } = await tx.query<Noted>(
      `update upgrade_workers w set
         state = told.state, detail = told.detail, settled_at = case when told.state = 'installing' then null else now() end
       from (
         select s.deployment_id, s.worker_id, u.id, case when wrong then 'failed' else $3 end as state,
           case when wrong then 'says it is healthy and runs ' || s.agent_version else $4 end as detail
         from sessions s join upgrades u on u.deployment_id = s.deployment_id,
           lateral (select $3 = 'healthy' and u.program = 'agent' and s.agent_version <> u.version as wrong) belief
         where s.id = $1 and u.id = $2
       ) told
       where w.upgrade_id = told.id and w.worker_id = told.worker_id
         and (w.settled_at is null or w.state = 'healthy' and told.state in ('failed', 'rolled_back'))
         and (w.state, w.detail) is distinct from (told.state, told.detail)
       returning told.deployment_id as "deploymentId",
         jsonb_build_object('workerId', w.worker_id, 'state', w.state, 'detail', w.detail) as detail`,
      [sessionId, campaignId, state, detail ?? null],
    );
    recordAudit(tx, ...rows.map((row) => ({ ...row, ...entry })));
  });
}

/**
 * Takes every running upgrade a step further and gives the sessions that were asked. Several copies may, one after the other for each upgrade.
 * Nothing is settled until the control plane was up for a whole lease, in which each worker that is alive renews its own.
 */
export async function advanceUpgrades(pool: Pool, timing: LeaseTiming): Promise<string[]> {
  const running = await pool.query<{ id: string }>("select id from upgrades where state = 'running' order by id");
  const asked: string[] = [];
  for (const { id } of running.rows) asked.push(...(await transaction(pool, (tx) => advance(tx, id, timing))));
  return asked;
}

/** Session `s` may be asked by upgrade `u`, now or later. */
const MAY_BE_ASKED =
  "s.deployment_id = u.deployment_id and s.pool = u.pool and s.state = 'open' and 'upgrade' = any(s.features)";

interface Running {
  readonly id: string;
  readonly deploymentId: string;
  readonly waveSize: number;
}

interface Standing {
  readonly open: number;
  readonly soaking: number;
  /** The first worker that is worse off. */
  readonly trouble: string | null;
}

async function advance(tx: Transaction, id: string, timing: LeaseTiming): Promise<readonly string[]> {
  // On its own: what is counted below is what whoever had the lock before has left.
  const { rows } = await tx.query<Running>(
    `select id, deployment_id as "deploymentId", wave_size as "waveSize" from upgrades where id = $1 and state = 'running' for update`,
    [id],
  );
  const upgrade = rows[0];
  if (!upgrade || (await hasGrace(tx, timing))) return [];
  const left = await judgeWorkers(tx, id, timing);
  const { asked, ended } = await goOn(tx, upgrade);
  const entry = { deploymentId: upgrade.deploymentId, actor: "control-plane", subject: id };
  const told = left.map((workerId) => ({ action: "upgrade.worker", detail: { workerId, state: "left" } }));
  recordAudit(tx, ...[...told, ...(ended ? [ended] : [])].map((what) => ({ ...entry, ...what })));
  return asked;
}

interface Step {
  /** Sessions. */
  readonly asked: readonly string[];
  /** For the audit log, where the upgrade has come to its end. */
  readonly ended?: Pick<AuditEntry, "action" | "detail">;
}

async function goOn(tx: Queryable, { id, waveSize }: Running): Promise<Step> {
  const { open, soaking, trouble } = await standingOf(tx, id);
  if (trouble !== null) return await end(tx, id, "failed", trouble);
  const room = waveSize - open - soaking;
  const asked = room > 0 ? await askNext(tx, id, room) : [];
  const waiting = asked.length + open + soaking === 0 ? await waitingFor(tx, id) : undefined;
  if (waiting === null) return await end(tx, id, "done", null);
  const detail = waiting ?? null;
  await tx.query("update upgrades set detail = $2 where id = $1 and detail is distinct from $2", [id, detail]);
  return { asked };
}

async function standingOf(tx: Queryable, id: string): Promise<Standing> {
  const { rows } = await tx.query<Standing>(
    `select count(*) filter (where settled_at is null) as open,
       count(*) filter (where state = 'healthy' and settled_at > '-infinity') as soaking,
       (array_agg(worker_id || ': ' || coalesce(detail, state) order by settled_at)
         filter (where state in ('failed', 'rolled_back')))[1] as trouble
     from upgrade_workers where upgrade_id = $1`,
    [id],
  );
  return rows[0] ?? { open: 0, soaking: 0, trouble: null };
}

async function askNext(tx: Queryable, id: string, room: number): Promise<string[]> {
  const { rows } = await tx.query<{ session: string }>(
    `with next as (
       select s.id, s.worker_id from upgrades u
         join sessions s on ${MAY_BE_ASKED} and not s.draining
         join leases l on l.session_id = s.id and l.expires_at > now()
       where u.id = $1 and ${VERSION} <> u.version
         and not exists (select 1 from upgrade_workers w where w.upgrade_id = u.id and w.worker_id = s.worker_id)
       order by s.worker_id limit $2
     ), asked as (
       insert into upgrade_workers (upgrade_id, worker_id) select $1, worker_id from next
     )
     select id as session from next`,
    [id, room],
  );
  return rows.map(({ session }) => session);
}

/** Of the workers without the version, so many are named. */
const NAMED = 5;

/** The workers that are still without the version, in words; null when there is none. */
async function waitingFor(tx: Queryable, id: string): Promise<string | null> {
  const { rows } = await tx.query<{ worker: string; all: number }>(
    `select count(*) over () as all, s.worker_id || case
         when l.expires_at <= now() then ' (silent)' when s.draining then ' (draining)' else ' (runs ' || ${VERSION} || ')' end as worker
     from upgrades u join sessions s on ${MAY_BE_ASKED} join leases l on l.session_id = s.id
     where u.id = $1 and ${VERSION} <> u.version order by s.worker_id limit $2`,
    [id, NAMED],
  );
  if (!rows[0]) return null;
  const more = rows[0].all - rows.length;
  return `waits for ${rows.map(({ worker }) => worker).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

async function end(tx: Queryable, id: string, state: "done" | "failed", detail: string | null): Promise<Step> {
  await tx.query("update upgrades set state = $2, detail = $3, ended_at = now() where id = $1", [id, state, detail]);
  return { asked: [], ended: { action: `upgrade.${state}`, detail: { detail } } };
}
