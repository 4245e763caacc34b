import { randomUUID } from "node:crypto";
import { CatalogConflict } from "../../../control-plane/store/catalog";
import type { Claim } from "../../../control-plane/store/claim";
import { deleteDatasource } from "../../../control-plane/store/datasources";
import { markDraining, type Ref, readSessions } from "../../../control-plane/store/sessions";
import { revokeToken } from "../../../control-plane/store/tokens";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { findAuditTampering } from "./audit-tampering";
import { type TestFleet, useFleets } from "./fleet";

const { freshFleet } = useFleets();

/** A claim for one job, parked while there were none. */
async function park(fleet: TestFleet, sessionId: string): Promise<Claim> {
  const claimId = randomUUID();
  const seen = (await readSessions(fleet.pool, [sessionId], [claimId])).get(sessionId);
  if (!seen) throw new Error("there is no such session");
  return { ...fleet.registration(sessionId), sessionId, claimId, slots: 1, grantMs: 10_000, seen };
}

/** A job is asked for, and the claim that was parked comes in the same moment; also how many transactions that takes. */
async function askAtOnce(fleet: TestFleet, claim: Claim, id = randomUUID()) {
  const { deploymentId, tokenId } = fleet;
  let transactions = 0;
  const count = (): void => {
    transactions += 1;
  };
  fleet.pool.on("acquire", count);
  const creation = { id, deploymentId, tokenId, job: fleet.described("orders"), run: true, actor: "test" };
  const [created, claimed] = await Promise.all([
    fleet.writes.create(creation).catch((error: Error) => error.message),
    fleet.writes.claim(claim),
  ]);
  fleet.pool.off("acquire", count);
  const granted = claimed === "refused" ? claimed : claimed.granted.map(({ jobId }) => jobId);
  return { id, transactions, created, granted };
}

const jobs = async (fleet: TestFleet) =>
  (await fleet.pool.query("select name, state from jobs order by name")).rows.map(
    ({ name, state }) => `${name} ${state}`,
  );

it("control-plane 14: a job that comes while a claim is parked is written with what is read for it, in one transaction", async () => {
  const fleet = await freshFleet();
  const worker = await fleet.worker("w", { slots: 2 });
  await fleet.job("before");
  const [before] = await fleet.claim(worker);
  const claim = await park(fleet, worker);
  // WHEN the worker asks for more before it says that what it has got starts
  expect(await fleet.start({ sessionId: worker, ...(before as Ref) })).toBe("started");

  const { id, transactions, created, granted } = await askAtOnce(fleet, claim);

  expect({ transactions, created, granted }).toEqual({ transactions: 1, created: "granted", granted: [id] });
  const { rows } = await fleet.pool.query("select action from audit_log where subject = $1 order by seq", [id]);
  expect(rows.map(({ action }) => action)).toEqual(["job.create", "job.claim"]);
  expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBeNull();
});

it("control-plane 14: of jobs that come at once a parked claim gets the most urgent", async () => {
  const fleet = await freshFleet();
  const { deploymentId, tokenId } = fleet;
  const claim = await park(fleet, await fleet.worker("w"));
  const create = async (name: string, priority: number) => {
    const job = fleet.described(name, { priority });
    return await fleet.writes.create({ id: randomUUID(), deploymentId, tokenId, job, run: true, actor: "test" });
  };

  const [later, urgent] = await Promise.all([create("later", 100), create("urgent", 1), fleet.writes.claim(claim)]);

  expect([later, urgent]).toEqual(["waiting", "granted"]);
});

interface Meanwhile {
  readonly what: string;
  readonly happens: (fleet: TestFleet, worker: string) => Promise<unknown>;
  readonly created: string;
  readonly granted: readonly string[] | "refused";
  readonly jobs: readonly string[];
}

describe("control-plane 14: what has changed since the claim was parked is what counts", () => {
  it.each<Meanwhile>([
    {
      what: "the session is drained",
      happens: async (fleet, worker) => await markDraining(fleet.pool, worker),
      created: "waiting",
      granted: [],
      jobs: ["orders pending"],
    },
    {
      what: "its lease has run out",
      happens: async (fleet, worker) => await fleet.expireLease(worker),
      created: "waiting",
      granted: [],
      jobs: ["orders pending"],
    },
    {
      what: "its slots are taken",
      happens: async (fleet, worker) => {
        await fleet.another().job("before");
        expect(await fleet.claim(worker)).toHaveLength(1);
      },
      created: "waiting",
      granted: [],
      jobs: ["before starting", "orders pending"],
    },
    {
      what: "its token is revoked",
      happens: async (fleet, worker) =>
        await revokeToken(fleet.pool, fleet.registration(worker).tokenId, fleet.deploymentId),
      created: "waiting",
      granted: "refused",
      jobs: ["orders pending"],
    },
    {
      what: "the operator's token is revoked",
      happens: async (fleet) => await revokeToken(fleet.pool, fleet.tokenId, fleet.deploymentId),
      created: "refused",
      granted: [],
      jobs: [],
    },
    {
      what: "another job waits",
      happens: async (fleet) => await fleet.another().job("before"),
      created: "waiting",
      granted: ["before"],
      jobs: ["before starting", "orders pending"],
    },
    {
      what: "the name is taken by a job that is at rest",
      happens: async (fleet) => await fleet.create("orders", { run: false }),
      created: "there is a job named orders",
      granted: [],
      jobs: ["orders created"],
    },
    {
      what: "the datasource is deleted",
      happens: async ({ pool, deploymentId, datasourceId: id }) =>
        await deleteDatasource(pool, { deploymentId, id }, "test"),
      created: "there is no datasource",
      granted: [],
      jobs: [],
    },
  ])("$what", async ({ happens, created, granted, jobs: expected }) => {
    const fleet = await freshFleet();
    const worker = await fleet.worker("w", { slots: 1 });
    const claim = await park(fleet, worker);
    await happens(fleet, worker);

    const asked = await askAtOnce(fleet, claim);

    expect(asked.created).toContain(created);
    const names = Array.isArray(asked.granted)
      ? await Promise.all(asked.granted.map(async (id) => (await fleet.row(id))["name"]))
      : asked.granted;
    expect(names).toEqual(granted);
    expect(await jobs(fleet)).toEqual(expected);
    expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBeNull();
  });

  it("the same creation was made before, its answer lost", async () => {
    const fleet = await freshFleet();
    const worker = await fleet.worker("w", { slots: 1 });
    const [claim, later] = [await park(fleet, worker), await park(fleet, await fleet.worker("other"))];
    const { id } = await askAtOnce(fleet, claim);

    expect(await askAtOnce(fleet, later, id)).toMatchObject({ created: "waiting", granted: [] });

    expect(await jobs(fleet)).toEqual(["orders starting"]);
  });
});

it("control-plane 14: of creations of the same name that come at once, one that is repeated is the job it made", async () => {
  const fleet = await freshFleet();
  const { id } = await askAtOnce(fleet, await park(fleet, await fleet.worker("w")));
  await fleet.pool.query("update jobs set state = 'deleted', session_id = null where id = $1", [id]);
  const { deploymentId, tokenId } = fleet;
  const create = async (id: string) => {
    const job = fleet.described("orders");
    return await fleet.writes.create({ id, deploymentId, tokenId, job, run: true, actor: "test" });
  };

  expect(await Promise.all([create(randomUUID()), create(id)])).toEqual(["waiting", "waiting"]);

  expect(await jobs(fleet)).toEqual(["orders deleted", "orders pending"]);
});

function conflict(error: unknown): "conflict" {
  if (error instanceof CatalogConflict) return "conflict";
  throw error;
}

const ROUNDS = longForm(300, 5_000);

it(`control-plane 14: in ${ROUNDS} random rounds at two copies no claim gets what it may not have, and no job is given twice`, async () => {
  const SLOTS = 3;
  const fleet = await freshFleet();
  const copies = [fleet, fleet.another()];
  const random = seededRandom(14);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const sessions = await Promise.all(
    Array.from({ length: 5 }, (_, index) => fleet.worker(`w-${index}`, { slots: SLOTS })),
  );
  const parked = new Map<string, Claim>();
  const granted: string[] = [];
  const outcomes = new Set<string>();
  let foreseen = 0;
  let transactions = 0;
  fleet.pool.on("acquire", () => {
    transactions += 1;
  });

  for (let round = 0; round < ROUNDS; round++) {
    // Claims are parked at times, and woken later by what comes to either copy, at once with what changes their sessions.
    for (const session of sessions) if (random() < 0.7) parked.set(session, await park(fleet, session));
    const { rows: barred } = await fleet.pool.query<{ id: string }>(
      "select id from sessions left join leases on session_id = id where draining or not coalesce(expires_at > now(), false)",
    );
    const before = transactions;
    const copy = pick([...copies, undefined]);
    const at = () => copy ?? pick(copies);
    const waiting = [...parked.values()].filter(() => random() < 0.5);
    const asked = waiting.map(async (claim) => {
      const claimed = await at().writes.claim(claim);
      parked.delete(claim.sessionId);
      if (claimed === "refused") throw new Error("a claim was refused");
      if (barred.some(({ id }) => id === claim.sessionId)) expect(claimed.granted).toEqual([]);
      granted.push(...claimed.granted.map(({ jobId, fence }) => `${jobId}/${fence}`));
    });
    const created = Array.from({ length: Math.ceil(random() * 2) }, async () => {
      const { deploymentId, tokenId } = fleet;
      const job = fleet.described(`job-${Math.floor(random() * 60)}`);
      const creation = { id: randomUUID(), deploymentId, tokenId, job, run: true, actor: "test" };
      outcomes.add(await at().writes.create(creation).catch(conflict));
    });
    await Promise.all([...asked, ...created]);
    if (transactions - before === 1) foreseen += 1;
    const session = pick(sessions);
    if (random() < 0.2) await fleet.expireLease(session);
    else
      await fleet.pool.query("update leases set expires_at = now() + interval '1 hour' where session_id = $1", [
        session,
      ]);
    if (random() < 0.2) await fleet.pool.query("update sessions set draining = not draining where id = $1", [session]);
    if (random() < 0.8) {
      const { rows } = await fleet.pool.query("select id, fence, session_id from jobs where session_id = $1", [
        session,
      ]);
      for (const { id: jobId, fence } of rows)
        await fleet.report({ sessionId: session, jobId, fence, outcome: "completed", logTail: [] });
      await fleet.pool.query("update jobs set state = 'deleted' where state = 'completed'");
    }

    const { rows: crowded } = await fleet.pool.query(
      "select session_id from jobs where session_id is not null group by session_id having count(*) > $1",
      [SLOTS],
    );
    expect(crowded).toEqual([]);
  }

  expect(new Set(granted).size).toBe(granted.length);
  const { rows } = await fleet.pool.query("select sum(fence)::int as claims from jobs");
  expect(rows).toEqual([{ claims: granted.length }]);
  expect(outcomes).toEqual(new Set(["granted", "waiting", "conflict"]));
  expect(foreseen).toBeGreaterThan(0);
  expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBeNull();
}, 1_200_000);
