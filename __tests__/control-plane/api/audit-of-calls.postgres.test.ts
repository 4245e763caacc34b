import { LeaseTiming } from "../../../control-plane/lease/timing";
import { findAuditTampering } from "../store/audit-tampering";
import { type MutatingCall, Stage } from "./call-stage";
import { digestOfAll } from "./everything";
import { mutatingCalls } from "./mutating-calls";
import { useControlPlane } from "./use-control-plane";

/** A lease so short that PostgreSQL has been up for one; nobody sweeps. */
const UNSWEPT = LeaseTiming.parse({
  heartbeatMs: 20,
  workerLeaseMs: 40,
  killMs: 1,
  watchdogMs: 1,
  serverLeaseMs: 100,
  sweepMs: 3_600_000,
  grantMs: 3_600_000,
  claimWaitMs: 0,
});

// The strictest way to run it: what needs more than the role was granted fails here.
const plane = useControlPlane({ timing: UNSWEPT, ownsNothing: true });

/** Each operation of the OpenAPI document but those that only read. */
async function mutatingOperations(): Promise<string[]> {
  const { paths } = (await (await fetch(`${plane.url}/openapi.json`)).json()) as { paths: Record<string, object> };
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  return all.filter((operation) => !operation.startsWith("GET "));
}

/** Does something and gives the actions of the entries that were added meanwhile, sorted. */
async function added(what: () => Promise<unknown>): Promise<string[]> {
  const { pool } = plane;
  const entries = async () =>
    (await pool.query("select deployment_id || '/' || seq as key, action from audit_log")).rows;
  const before = new Set((await entries()).map(({ key }) => key));
  await what();
  return (await entries())
    .filter(({ key }) => !before.has(key))
    .map(({ action }) => action)
    .sort();
}

/** Lets no entry be added while something is done. */
async function withoutAudit<T>(what: () => Promise<T>): Promise<T> {
  await plane.pool.query("create trigger audit_is_full before insert on audit_log execute function audit_is_full()");
  try {
    return await what();
  } finally {
    await plane.pool.query("drop trigger audit_is_full on audit_log");
  }
}

/** Leases are renewed whatever else a heartbeat brings. */
async function digest(): Promise<Record<string, string>> {
  const { leases: _, ...rest } = await digestOfAll(plane.pool);
  return rest;
}

/** What becomes of a call when it is refused, when its entry cannot be written, when it is made, and when it is made again. */
async function outcomeOf({ prepare, adds }: MutatingCall): Promise<object> {
  const { ask, refused } = await prepare();
  const statuses: Record<string, number> = {};
  const refusal = await added(async () => {
    statuses["refused"] = (await refused()).status;
  });
  const before = await digest();
  if (adds.length > 0) statuses["unaudited"] = (await withoutAudit(ask)).status;
  const changesUnaudited = JSON.stringify(await digest()) !== JSON.stringify(before);
  const made = await added(async () => {
    statuses["made"] = (await ask()).status;
  });
  return {
    isRefused: Number(statuses["refused"]) >= 400 && Number(statuses["refused"]) < 500,
    refusal,
    unaudited: statuses["unaudited"],
    changesUnaudited,
    status: statuses["made"],
    adds: made,
    again: await added(ask),
  };
}

beforeEach(async () => {
  await plane.pool.query(
    `insert into duties values ('upgrades', 'infinity') on conflict (name) do update set due_at = 'infinity';
     create function audit_is_full() returns trigger language plpgsql as $$ begin raise exception 'the log is full'; end $$`,
  );
});

it("control-plane 27: every mutating call adds its entries in the transaction of what it does, one that is refused or repeated adds none", async () => {
  const table = mutatingCalls(new Stage(plane));
  // An operation that nobody has described here is not known to be audited.
  expect((await mutatingOperations()).sort()).toEqual(Object.keys(table).sort());

  const seen: Record<string, object> = {};
  const wanted: Record<string, object> = {};
  for (const [operation, calls] of Object.entries(table)) {
    for (const call of calls) {
      const name = [operation, call.when].filter(Boolean).join(" that ");
      const { status = 200, adds, again = [] } = call;
      const unaudited = adds.length > 0 ? 500 : undefined;
      seen[name] = await outcomeOf(call);
      wanted[name] = { isRefused: true, refusal: [], unaudited, changesUnaudited: false, status, adds, again };
    }
  }
  expect(seen).toEqual(wanted);

  for (const chain of [null, plane.operator.deploymentId]) {
    expect(await findAuditTampering(plane.pool, chain)).toBeNull();
  }
}, 240_000);
