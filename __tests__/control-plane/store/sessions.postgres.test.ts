import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { Heartbeats } from "../../../control-plane/store/heartbeats";
import { deregisterSession, openSession, orderDrain } from "../../../control-plane/store/sessions";
import { revokeSessionTokens } from "../../../control-plane/store/tokens";
import { lockWaits } from "../../support/lock-waits";
import { type TestFleet, useFleets } from "./fleet";

const NOTHING = { running: [], released: [] };

const fleets = useFleets();
let fleet: TestFleet;
let heartbeats: Heartbeats;
beforeEach(async () => {
  fleet = await fleets.freshFleet();
  heartbeats = new Heartbeats(fleet.pool, DEFAULT_TIMING.serverLeaseMs, 5);
});

const secondsLeft = async (sessionId: string): Promise<number> => {
  const { rows } = await fleet.pool.query<{ left: number }>(
    "select extract(epoch from expires_at - now())::float as left from leases where session_id = $1",
    [sessionId],
  );
  return rows[0]?.left ?? Number.NaN;
};

describe("heartbeats", () => {
  it("renews many leases in one statement and answers each with what it holds", async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, (_, index) => fleet.worker(`w${index}`)));
    await fleet.job("held");
    const holder = sessions[7] as string;
    const held = await fleet.run(holder);
    for (const sessionId of sessions) await fleet.expireLease(sessionId);
    let statements = 0;
    const counting = new Proxy(fleet.pool, {
      get: (pool, key) => {
        if (key === "query") statements += 1;
        const value = Reflect.get(pool, key);
        return typeof value === "function" ? value.bind(pool) : value;
      },
    });
    const grouped = new Heartbeats(counting, DEFAULT_TIMING.serverLeaseMs, 50);

    const renewals = await Promise.all(
      sessions.map((sessionId) => grouped.beat(fleet.beating(sessionId), "open", NOTHING)),
    );

    expect(statements).toBe(1);
    const asked = { draining: false, drainOrdered: false, owesTest: false, owesUpgrade: false };
    expect(renewals[7]).toEqual({ ...asked, held: [{ ...held, state: "running", desired: "run" }] });
    expect(renewals[8]).toEqual({ ...asked, held: [] });
    for (const sessionId of sessions) expect(await secondsLeft(sessionId)).toBeGreaterThan(25);
  });

  it("control-plane 25: a token that was revoked renews nothing, and no other of the group is kept waiting", async () => {
    const [revoked, expired, other] = await Promise.all(["i-1", "i-2", "i-3"].map((id) => fleet.worker(id)));
    for (const sessionId of [revoked, expired, other]) await fleet.expireLease(sessionId as string);
    const { tokenId } = fleet.beating(expired as string);
    await revokeSessionTokens(fleet.pool, revoked as string);
    await fleet.pool.query("update tokens set expires_at = now() where id = $1", [tokenId]);

    const beats = [revoked, expired, other].map((id) => heartbeats.beat(fleet.beating(id as string), "open", NOTHING));

    expect(await Promise.all(beats)).toEqual(["refused", "refused", expect.objectContaining({ held: [] })]);
    expect(await secondsLeft(revoked as string)).toBeLessThan(0);
    expect(await secondsLeft(expired as string)).toBeLessThan(0);
    expect(await secondsLeft(other as string)).toBeGreaterThan(25);
  });

  it("control-plane 9: a new session of a worker closes the one before, which gets no renewal for ever", async () => {
    const lost = await fleet.job("lost");
    const before = await fleet.worker("i-1");
    await fleet.run(before);
    const kept = await fleet.job("kept");
    const adopted = await fleet.run(before);

    const after = await fleet.register("i-1");
    expect(await fleet.row(lost)).toMatchObject({ state: "running", session_id: before });
    const renewal = await heartbeats.beat(fleet.beating(after), "registered", {
      running: [{ ...adopted, status: "running", phase: "streaming" }],
      released: [],
    });

    expect(renewal).toMatchObject({ held: [{ ...adopted, state: "running" }] });
    expect(await fleet.row(kept)).toMatchObject({ state: "running", session_id: after, fence: adopted.fence });
    expect(await fleet.row(lost)).toMatchObject({ state: "pending", session_id: null });
    expect(await heartbeats.beat(fleet.beating(before), "open", NOTHING)).toBe("refused");
    expect(await fleet.start({ sessionId: before, ...adopted })).toBe("fenced");
  });

  it("a registration of an earlier life that arrives late changes nothing", async () => {
    const jobId = await fleet.job("running");
    const early = await fleet.register("i-1");
    const session = await fleet.worker("i-1");
    await fleet.run(session);

    await fleet.register("i-1");
    expect(await heartbeats.beat(fleet.beating(early), "registered", NOTHING)).toBe("refused");

    expect(await fleet.row(jobId)).toMatchObject({ state: "running", session_id: session });
    expect(await heartbeats.beat(fleet.beating(session), "open", NOTHING)).not.toBe("refused");
  });

  it("control-plane 9: of two new sessions of a worker that open at once the later one stays", async () => {
    const before = await fleet.worker("i-1");
    const [older, newer] = [await fleet.register("i-1"), await fleet.register("i-1")];
    const open = async (sessionId: string) => await openSession(fleet.pool, sessionId, [], 30_000);
    const other = await fleet.pool.connect();
    await other.query("begin; set local idle_in_transaction_session_timeout = 0");
    await other.query("select 1 from sessions where id = $1 for update", [before]);
    const newerOpens = open(newer);
    await lockWaits(fleet.pool, 1);
    const olderOpens = open(older);
    await lockWaits(fleet.pool, 2);

    await other.query("commit");
    other.release();

    expect(await Promise.all([olderOpens, newerOpens])).toEqual([false, true]);
  });

  it("control-plane 8: what a worker releases may be claimed at once", async () => {
    const jobId = await fleet.job("handed-over");
    const worker = await fleet.worker("i-1");
    const ref = await fleet.run(worker);

    await heartbeats.beat(fleet.beating(worker), "open", { running: [], released: [ref] });

    expect(await fleet.claim(await fleet.worker("i-2"))).toEqual([{ jobId, fence: ref.fence + 1 }]);
  });

  it("carries an operator's drain over to a worker's next session, unless it said goodbye", async () => {
    const job = await fleet.job("waiting");
    await orderDrain(fleet.pool, await fleet.worker("i-1"), fleet.deploymentId);
    const after = await fleet.worker("i-1");
    expect(await heartbeats.beat(fleet.beating(after), "open", NOTHING)).toMatchObject({ drainOrdered: true });
    expect(await fleet.claim(after)).toEqual([]);
    await deregisterSession(fleet.pool, after);
    expect(await fleet.claim(await fleet.worker("i-1"))).toMatchObject([{ jobId: job }]);
  });

  it("frees everything when the agent says goodbye", async () => {
    const jobId = await fleet.job("left");
    const worker = await fleet.worker("i-1");
    await fleet.run(worker);

    await deregisterSession(fleet.pool, worker);
    await deregisterSession(fleet.pool, worker);

    expect(await fleet.row(jobId)).toMatchObject({ state: "pending" });
    expect(await heartbeats.beat(fleet.beating(worker), "open", NOTHING)).toBe("refused");
  });
});
