import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { verifyAudit } from "../../../control-plane/store/verify-audit";
import { longForm } from "../../support/long-form";
import { findAuditTampering } from "./audit-tampering";
import { useFleets } from "./fleet";

const fleets = useFleets();
const PAGE = 10;

/** A chain of so many entries. */
async function chainOf(pool: Pool, entries: number): Promise<string> {
  const deploymentId = randomUUID();
  for (let from = 1; from <= entries; from += 500) {
    await pool.query(
      `select add_audit_entries(array(
         select ($1, 0, now() - make_interval(days => 100), 'test', 'counted', n, '{}', '')::audit_log
         from generate_series($2::int, $3::int) n))`,
      [deploymentId, from, Math.min(entries, from + 499)],
    );
  }
  return deploymentId;
}

/** Does what the triggers refuse, and undoes it. @returns where it was noticed */
async function noticedAt(pool: Pool, deploymentId: string, tampering: string, page?: number): Promise<number | null> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("set local session_replication_role = replica");
    await client.query(tampering.replaceAll("$1", `'${deploymentId}'`));
    return await findAuditTampering(client, deploymentId, page);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

const remove = (seq: number) => `delete from audit_log where deployment_id = $1 and seq = ${seq}`;
const change = (seq: number) => `update audit_log set actor = 'nobody' where deployment_id = $1 and seq = ${seq}`;
/** Changes an entry and its hash with it, which only the next can tell. */
const forge = (seq: number) => `
  update audit_log set actor = 'nobody' where deployment_id = $1 and seq = ${seq};
  update audit_log entry set hash = audit_hash(coalesce((select hash from audit_log where deployment_id = $1 and seq = ${seq - 1}), ''), entry)
  where deployment_id = $1 and seq = ${seq}`;
const putIn = (seq: number) => `
  insert into audit_log select deployment_id, ${seq}, at, actor, action, subject, detail, hash from audit_log
  where deployment_id = $1 and seq = 5`;

it.each([19, 20, 21, 29])(
  "control-plane 27: of a chain of %d entries that is read by tens, finds what is changed, removed or put in anywhere",
  async (entries) => {
    const { pool } = await fleets.postgres.freshDatabase();
    const chain = await chainOf(pool, entries);
    await chainOf(pool, 3);
    const everywhere = Array.from({ length: entries }, (_, index) => index + 1);

    expect(await findAuditTampering(pool, chain, PAGE)).toBeNull();
    for (const seq of everywhere) {
      expect([seq, await noticedAt(pool, chain, remove(seq), PAGE)]).toEqual([seq, seq]);
      expect([seq, await noticedAt(pool, chain, change(seq), PAGE)]).toEqual([seq, seq]);
      expect([seq, await noticedAt(pool, chain, forge(seq), PAGE)]).toEqual([seq, seq + 1]);
    }
    expect(await noticedAt(pool, chain, putIn(entries + 1), PAGE)).toBe(entries + 1);
    for (const seq of [0, -1, -9_007_199_254_740_991]) expect(await noticedAt(pool, chain, putIn(seq), PAGE)).toBe(1);
    expect(await noticedAt(pool, chain, "delete from audit_heads where deployment_id = $1", PAGE)).toBe(entries + 1);
    const cut = `delete from audit_log where deployment_id = $1 and seq > ${PAGE}`;
    expect(await noticedAt(pool, chain, cut, PAGE)).toBe(PAGE + 1);
  },
);

it("control-plane 27: entries that are added, or deleted for their age, between two pages break no chain", async () => {
  const { pool } = await fleets.postgres.freshDatabase();
  const chain = await chainOf(pool, 25);
  const first = await verifyAudit(pool, chain, undefined, PAGE);
  if (!("upTo" in first)) throw new Error(`the first page is the last: ${JSON.stringify(first)}`);
  expect(first).toEqual({ upTo: { seq: 10, hash: expect.stringMatching(/^[0-9a-f]{64}$/) }, newest: 25 });

  await pool.query(
    `with past as (
       update audit_heads set past_seq = 15, past_hash = (select hash from audit_log where deployment_id = $1 and seq = 15)
       where deployment_id = $1)
     delete from audit_log where deployment_id = $1 and seq <= 15`,
    [chain],
  );
  await pool.query(
    "insert into audit_log (deployment_id, seq, actor, action, subject, hash) values ($1, 0, 'test', 'late', 'x', '')",
    [chain],
  );

  const second = await verifyAudit(pool, chain, first.upTo, PAGE);
  expect(second).toMatchObject({ upTo: { seq: 25 }, newest: 26 });
  if (!("upTo" in second)) throw new Error("the second page is the last");
  expect(await verifyAudit(pool, chain, second.upTo, PAGE)).toEqual({ tamperedAt: null });
  expect(await findAuditTampering(pool, chain, PAGE)).toBeNull();
  expect(await noticedAt(pool, chain, remove(16), PAGE)).toBe(16);
});

const ENTRIES = longForm(20_500, 1_000_000);

it(`control-plane 27: a chain of ${ENTRIES} entries is verified, no statement of it running into the limit, and tampering at the borders is found`, async () => {
  const { pool } = await fleets.postgres.freshDatabase();
  const chain = await chainOf(pool, ENTRIES);

  const upTo: number[] = [];
  for (let part = await verifyAudit(pool, chain); "upTo" in part; part = await verifyAudit(pool, chain, part.upTo)) {
    upTo.push(part.upTo.seq);
  }
  expect(upTo.slice(0, 2)).toEqual([10_000, 20_000]);
  expect(await findAuditTampering(pool, chain)).toBeNull();
  for (const seq of [10_000, 10_001, 20_000, ENTRIES]) expect(await noticedAt(pool, chain, remove(seq))).toBe(seq);
}, 1_200_000);
