import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { lockWaits } from "../../support/lock-waits";
import type { TestWorker } from "./clients";
import { RELEASE, useUpgrades } from "./use-upgrades";

const { plane, upSince, worker, create, step, silence, upgraded, endSoak, asked, shown } = useUpgrades();

/** No test lasts as long as this lease. */
const LONG = { ...DEFAULT_TIMING, serverLeaseMs: 86_400_000 };

it("control-plane 29: asks at most a wave of workers at once, the next when those are healthy, and ends when all run it", async () => {
  const old = [await worker("i-1"), await worker("i-2"), await worker("i-3")];
  const current = await worker("i-4", "2.0.0");
  const campaignId = await create({ waveSize: 2 });

  expect(await asked(...old, current)).toEqual(["2.0.0", "2.0.0", undefined, undefined]);
  expect(await asked(...old)).toEqual(["2.0.0", "2.0.0", undefined]);
  await old[0]?.beat({ upgrade: { campaignId, state: "installing" } });
  const renewed = await worker("i-1", "2.0.0");
  await renewed.beat({ upgrade: { campaignId, state: "healthy" } });

  expect((await asked(renewed, ...old.slice(1))).map(Boolean)).toEqual([false, true, true]);
  for (const name of ["i-2", "i-3"]) {
    await (await worker(name, "2.0.0")).beat({ upgrade: { campaignId, state: "healthy" } });
  }
  await step();
  expect(await shown()).toMatchObject({ state: "done", detail: null, asked: 3, healthy: 3 });
  expect((await plane.operator.get(`/upgrades/${campaignId}/workers?after=i-1`)).body).toEqual(
    ["i-2", "i-3"].map((workerId) => ({ workerId, state: "healthy", detail: null })),
  );
});

it("control-plane 29: asks no more than a wave, however many copies take an upgrade a step further at once", async () => {
  const workers = [await worker("i-1"), await worker("i-2"), await worker("i-3")];
  await create();
  await plane.pool.query("delete from upgrade_workers");
  // GIVEN two that have begun and wait for a third
  const third = await plane.pool.connect();
  await third.query("begin; select 1 from upgrades for update");
  const steps = [step(), step()];
  await lockWaits(plane.pool, 2);

  await third.query("commit");
  third.release();
  await Promise.all(steps);

  expect((await asked(...workers)).filter(Boolean)).toEqual(["2.0.0"]);
});

it("control-plane 29: asks nobody who drains, is silent, or works for another pool", async () => {
  const [draining, silent] = [await worker("i-1"), await worker("i-2"), await worker("i-3")];
  await plane.operator.post(`/workers/${draining.sessionId}/drain`);
  await plane.pool.query("update leases set expires_at = now() where session_id = $1", [silent.sessionId]);
  const askedBy = async (id: string) => (await plane.operator.get(`/upgrades/${id}/workers`)).body;

  expect(await askedBy(await create({ pool: "batch", waveSize: 3 }))).toEqual([]);
  expect(await askedBy(await create({ waveSize: 3 }))).toMatchObject([{ workerId: "i-3" }]);
});

it("gives a version of the daemon to whoever does not run it, whatever version the agent is of", async () => {
  const workers = [await worker("i-1"), await worker("i-2", RELEASE.version)];
  const campaignId = await create({ program: "daemon", waveSize: 2 });
  expect(await asked(...workers)).toEqual(["2.0.0", "2.0.0"]);

  // As their next lives register.
  await plane.pool.query("update sessions set daemon_version = '2.0.0'");
  for (const each of workers) await each.beat({ upgrade: { campaignId, state: "healthy" } });
  await step();

  expect(await shown()).toMatchObject({ state: "done", healthy: 2 });
});

it.each([
  ["rolls back", { state: "rolled_back", detail: "no heartbeat in 60 s" }, "i-1: no heartbeat in 60 s"],
  ["fails", { state: "failed", detail: "the signature does not verify" }, "i-1: the signature does not verify"],
  ["says it is healthy with the old version", { state: "healthy" }, "i-1: says it is healthy and runs 1.0.0"],
] as const)("control-plane 29: asks nobody else once a worker %s", async (_, upgrade, detail) => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create();
  expect(await asked(first, second)).toEqual(["2.0.0", undefined]);

  await first.beat({ upgrade: { campaignId, ...upgrade } });
  // What is settled stays.
  await first.beat({ upgrade: { campaignId, state: "installing" } });

  expect(await asked(first, second)).toEqual([undefined, undefined]);
  expect(await shown()).toMatchObject({ state: "failed", detail });
});

it("gives up on a worker that is never heard of again, and lets one be healthy for a while before the next", async () => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create({ soakMs: 3_600_000 });
  await asked(first, second);
  await (await worker("i-1", "2.0.0")).beat({ upgrade: { campaignId, state: "healthy" } });
  expect(await asked(second)).toEqual([undefined]);

  await plane.pool.query("update upgrade_workers set settled_at = now() - interval '2 hours'");
  expect(await asked(second)).toEqual(["2.0.0"]);
  await plane.pool.query("update upgrade_workers set asked_at = now() - interval '1 day' where worker_id = 'i-2'");
  expect(await asked(second)).toEqual([undefined]);
  expect(await shown()).toMatchObject({ state: "failed", detail: "i-2: was not healthy in time" });
});

it("runs one upgrade of a program in a pool, until it is aborted, and refuses what no worker could verify", async () => {
  const first = await worker("i-1");
  const id = await create();
  expect((await plane.operator.post("/upgrades", RELEASE)).body.error.message).toContain(
    "an upgrade of the agent runs in pool",
  );
  await asked(first);

  expect((await plane.operator.post(`/upgrades/${id}/abort`, {})).status).toBe(200);
  expect(await asked(first)).toEqual([undefined]);
  expect((await plane.operator.post(`/upgrades/${id}/abort`, {})).status).toBe(404);
  await create({ version: "3.0.0", downgrade: true });

  for (const wrong of [{ url: "http://plain" }, { sha256: "AB" }, { signature: "" }, { waveSize: 0 }]) {
    const { status, body } = await plane.operator.post("/upgrades", { ...RELEASE, pool: "other", ...wrong });
    expect([status, body.error.message.split(":")[0]]).toEqual([400, Object.keys(wrong)[0]]);
  }
});

it("asks nobody while it is paused, lets nothing else in, and holds the pause against no worker's deadline", async () => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const id = await create();
  expect(await asked(first, second)).toEqual(["2.0.0", undefined]);
  const turn = async (name: string) => (await plane.operator.post(`/upgrades/${id}/${name}`, {})).status;
  expect([await turn("resume"), await turn("pause"), await turn("pause")]).toEqual([404, 200, 404]);

  expect(await asked(first, second)).toEqual([undefined, undefined]);
  expect((await plane.operator.post("/upgrades", RELEASE)).status).toBe(409);
  await plane.pool.query("update upgrade_workers set asked_at = now() - interval '1 day'");

  expect(await turn("resume")).toBe(200);
  expect(await asked(first, second)).toEqual(["2.0.0", undefined]);
  expect([await turn("pause"), await turn("abort"), await turn("resume")]).toEqual([200, 200, 404]);
  expect(await shown()).toMatchObject({ state: "aborted" });
});

it("is done only when no open session is without it: says for whom it waits, and asks those that come back", async () => {
  const [first, silent, leaving] = [await worker("i-1"), await worker("i-2"), await worker("i-3")];
  const campaignId = await create();
  expect(await asked(first)).toEqual(["2.0.0"]);
  await upgraded("i-1", campaignId);
  await silence("i-2");
  await leaving.beat({ state: "draining" });

  await step();
  expect(await shown()).toMatchObject({ state: "running", detail: "waits for i-2 (silent), i-3 (draining)" });
  await leaving.ask("deregister", { reason: "the agent leaves" });
  await step();
  expect(await shown()).toMatchObject({ state: "running", detail: "waits for i-2 (silent)" });

  await silent.beat();
  expect(await asked(silent)).toEqual(["2.0.0"]);
  expect(await shown()).toMatchObject({ state: "running", detail: null });
  await upgraded("i-2", campaignId);
  await step();
  expect(await shown()).toMatchObject({ state: "done", detail: null, asked: 2, healthy: 2 });
});

it("names a few of the many for which it waits, and says no more of it once it is aborted", async () => {
  for (let n = 1; n <= 7; n++) await (await worker(`i-${n}`)).beat({ state: "draining" });
  const id = await create();

  await step();
  const detail = "waits for i-1 (draining), i-2 (draining), i-3 (draining), i-4 (draining), i-5 (draining) and 2 more";
  expect(await shown()).toMatchObject({ state: "running", detail });
  await plane.operator.post(`/upgrades/${id}/abort`, {});
  expect(await shown()).toMatchObject({ state: "aborted", detail: null });
});

it("waits for a silent worker until its session is closed", async () => {
  const silent = await worker("i-1");
  await silence("i-1");
  await create();
  await step();
  expect(await shown()).toMatchObject({ state: "running", detail: "waits for i-1 (silent)" });

  await plane.pool.query("update sessions set state = 'closed', closed_at = now() where id = $1", [silent.sessionId]);
  await step();
  expect(await shown()).toMatchObject({ state: "done", detail: null });
});

it("control-plane 12: settles nothing within a lease after an outage, and holds the outage against nobody", async () => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create({ soakMs: 600_000 });
  await upgraded("i-1", campaignId);
  // GIVEN an outage longer than soak and leases
  await endSoak();
  for (const each of ["i-1", "i-2"]) await silence(each);
  await upSince("0 s");
  expect(await step(LONG)).toEqual([]);
  expect(await shown()).toMatchObject({ state: "running", detail: null });

  // WHEN both are back, the soak begins anew, as the deadline of one that was asked does.
  const back = await worker("i-1", "2.0.0");
  await second.beat();
  expect(await asked(back, second)).toEqual([undefined, undefined]);
  await upSince("1 hour");
  expect(await asked(back, second)).toEqual([undefined, "2.0.0"]);
  await plane.pool.query("update upgrade_workers set asked_at = now() - interval '1 day'");
  await upSince("5 minutes");
  expect(await asked(back, second)).toEqual([undefined, "2.0.0"]);
  await upSince("1 hour");
  expect(await step(LONG)).toEqual([]);
  expect(await shown()).toMatchObject({ state: "running" });
  await step();
  expect(await shown()).toMatchObject({ state: "failed", detail: "i-2: was not healthy in time" });
  expect((await first.send("heartbeat", { seq: 9, state: "active", running: [], released: [] })).status).toBe(410);
});

it.each<[string, (campaignId: string, renewed: TestWorker) => Promise<unknown>, string]>([
  ["goes silent", () => silence("i-1"), "was healthy and went silent"],
  ["runs another version again", () => worker("i-1", "1.0.0"), "was healthy and runs 1.0.0 again"],
  [
    "rolls back",
    (campaignId, renewed) => renewed.beat({ upgrade: { campaignId, state: "rolled_back", detail: "it crashed" } }),
    "it crashed",
  ],
  [
    "says that it failed",
    (campaignId, renewed) => renewed.beat({ upgrade: { campaignId, state: "failed", detail: "it broke" } }),
    "it broke",
  ],
])(
  "control-plane 29: asks nobody else once a worker that was healthy %s while it soaks",
  async (_, trouble, detail) => {
    const [, second] = [await worker("i-1"), await worker("i-2")];
    const campaignId = await create({ soakMs: 3_600_000 });
    await trouble(campaignId, await upgraded("i-1", campaignId));
    await endSoak();

    expect(await asked(second)).toEqual([undefined]);
    expect(await shown()).toMatchObject({ state: "failed", detail: `i-1: ${detail}`, healthy: 0 });
  },
);

it.each<[string, (renewed: TestWorker) => Promise<unknown>]>([
  ["says goodbye", (renewed) => renewed.ask("deregister", { reason: "the agent leaves" })],
  ["drains and goes silent", (renewed) => renewed.beat({ state: "draining" }).then(() => silence("i-1"))],
  ["is restarted", () => silence("i-1").then(() => worker("i-1", "2.0.0"))],
])("goes on when a worker that soaks %s", async (_, event) => {
  const [, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create({ soakMs: 3_600_000 });
  await event(await upgraded("i-1", campaignId));
  expect(await asked(second)).toEqual([undefined]);

  await endSoak();
  expect(await asked(second)).toEqual(["2.0.0"]);
  expect(await shown()).toMatchObject({ state: "running" });
});

it("lets a worker go silent once it has soaked, but not back to another version", async () => {
  const [, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create({ soakMs: 3_600_000 });
  await upgraded("i-1", campaignId);
  await endSoak();
  expect(await asked(second)).toEqual(["2.0.0"]);

  await silence("i-1");
  expect(await asked(second)).toEqual(["2.0.0"]);
  await worker("i-1", "1.0.0");
  expect(await asked(second)).toEqual([undefined]);
  expect(await shown()).toMatchObject({ state: "failed", detail: "i-1: was healthy and runs 1.0.0 again" });
});
