import { randomUUID } from "node:crypto";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { WORKER_PATH } from "../../../control-plane/protocol";
import { eventually } from "../../support/eventually";
import { send } from "./clients";
import { sampleMessages } from "./sample-requests";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane({ copies: 2 });
const { worker } = plane;

describe("the worker API", () => {
  it("carries a job from its creation to its end", async () => {
    const jobId = await plane.operator.createJob("orders");
    const agent = await worker("i-1").open();

    const [grant] = (await agent.claim()).grants;
    expect(grant).toMatchObject({
      jobId,
      fence: 1,
      attempt: 1,
      resume: null,
      spec: { name: "orders", source: { password: "canary-password" }, onDisconnect: "stop" },
    });
    const ref = { jobId, fence: 1 };
    await agent.ask("started", ref);
    await agent.ask("started", ref);
    const checkpoint = { seq: 7, phase: "streaming", position: "0/7" } as const;
    expect(await agent.ask("progress", { ...ref, checkpoint, gapPossible: { lastConfirmed: "0/5" } })).toEqual({
      seq: 7,
    });
    const figures = { lagBytes: 5, lagMs: 9, eventsPerSecond: 1.5, eventsTotal: 3, memoryBytes: 1, cpuMillicores: 2 };
    await agent.ask("metrics", { jobs: [{ ...ref, ...figures }], host: { memoryBytes: 1, cpuMillicores: 1 } });
    expect((await plane.operator.get(`/jobs/${jobId}`)).body).toMatchObject({
      state: "running",
      workerId: "i-1",
      phase: "streaming",
      position: "0/7",
      gapAfter: "0/5",
      metrics: figures,
    });

    await agent.ask("report", { ...ref, outcome: "completed", logTail: [] });
    expect((await plane.operator.get(`/jobs/${jobId}`)).body).toMatchObject({ state: "completed", workerId: null });
    expect(await agent.send("progress", { ...ref, checkpoint })).toMatchObject({
      status: 410,
      body: { error: { code: "fenced", jobs: [ref] } },
    });
    expect((await plane.operator.get("/audit/verify")).body).toEqual({ tamperedAt: null });
  });

  it.each(["a NUL \0", "half of a pair \ud83d"])(
    "takes a job's end also where what is said of it holds %j",
    async (said) => {
      const jobId = await plane.operator.createJob("orders");
      const agent = await worker("i-1").open();
      const [grant] = (await agent.claim()).grants;

      const end = { jobId, fence: grant?.fence, outcome: "failed", error: said, logTail: [said] };
      const checkpoint = { seq: 1, phase: "streaming", position: said };
      expect(await agent.send("report", { ...end, checkpoint })).toMatchObject({ status: 200 });

      const kept = said.slice(0, -1).concat("\ufffd");
      const { body: job } = await plane.operator.get(`/jobs/${jobId}`);
      expect(job).toMatchObject({ state: "pending", lastError: kept, logTail: [kept] });
    },
  );

  it("takes an id in capitals for the same one, wherever an operator writes it", async () => {
    const { operator } = plane;
    const [{ id: sourceId }] = (await operator.get("/datasources")).body;
    const path = `/api/v1/deployments/${operator.deploymentId.toUpperCase()}/jobs`;
    const ids = { sourceId: sourceId.toUpperCase(), sinkId: sourceId.toUpperCase() };

    const created = await send(operator.url, path, operator.token, { name: "others", ...ids, tables: ["public.t"] });

    expect(created.status).toBe(200);
    const shown = await send(
      operator.url,
      `${path}/${created.body.id.toUpperCase()}`,
      operator.token,
      undefined,
      "GET",
    );
    expect(shown).toMatchObject({ status: 200, body: { name: "others" } });
  });

  it("control-plane 29: pauses a job through the worker that runs it, and hands it on when it runs again", async () => {
    const jobId = await plane.operator.createJob("orders");
    const first = await worker("i-1").open();
    await first.claim();
    const ref = { jobId, fence: 1 };
    await first.ask("started", ref);
    const running = [{ ...ref, status: "running", phase: "streaming" } as const];

    const woken = await first.park();
    expect(await plane.operator.post(`/jobs/${jobId}/pause`)).toEqual({ status: 200, body: { state: "running" } });
    const stop = { kind: "stop", mode: "quiesce", ...ref };
    expect((await woken()).body.actions).toEqual([stop]);
    expect((await first.beat({ running })).actions).toEqual([stop]);
    await first.ask("report", { ...ref, outcome: "stopped", logTail: [] });
    expect((await plane.operator.get(`/jobs/${jobId}`)).body).toMatchObject({ state: "paused" });

    await plane.operator.post(`/jobs/${jobId}/run`);
    const second = await worker("i-2", 1).open();
    expect((await second.claim(5_000)).grants).toMatchObject([{ jobId, fence: 2 }]);
    expect((await first.beat({ running })).actions).toEqual([{ ...stop, mode: "kill" }]);
  });

  it("control-plane 14: a parked claim is answered when a job is created at another copy", async () => {
    const agent = await worker("i-1", 1).open();
    const woken = await agent.park();

    const jobId = await plane.operator.createJob("orders");

    expect((await woken()).body.grants).toMatchObject([{ jobId, fence: 1 }]);
  });

  it("control-plane 29: a claim for no slots waits for orders: a job that becomes ready goes past it to one for a slot", async () => {
    const [full, other] = [worker("i-1"), worker("i-2")];
    await Promise.all([full.open(), other.open()]);
    const ready = await plane.operator.createJob("ready");
    expect((await full.ask("claim", { claimId: randomUUID(), freeSlots: 0, waitMs: 0 })).grants).toEqual([]);
    expect((await other.claim()).grants).toMatchObject([{ jobId: ready }]);

    const woken = await full.park(0);
    const claimed = other.claim(30_000);
    const created = await plane.operator.createJob("created");

    expect((await claimed).grants).toMatchObject([{ jobId: created }]);
    await plane.operator.post(`/workers/${full.sessionId}/drain`);
    expect((await woken()).body).toMatchObject({ grants: [], actions: [{ kind: "drain" }] });
  });

  it("control-plane 11: a claim whose asker has gone holds no job", async () => {
    const gone = await worker("i-1").open();
    await gone.claimAndHangUp(300);

    const jobId = await plane.operator.createJob("orders");

    const [grant] = (await (await worker("i-2").open()).claim(20_000)).grants;
    expect(grant).toMatchObject({ jobId });
  });

  it("control-plane 11: a grant that nobody takes up is back with the next sweep, also where the one before has failed", async () => {
    const jobId = await plane.operator.createJob("orders");
    await plane.pool.query("alter table pulse rename to away");
    const failed = () => plane.copies.every(({ logs }) => logs.join().includes("the sweep failed and is tried again"));
    await eventually(async () => failed() || undefined);
    await plane.pool.query("alter table away rename to pulse");
    expect((await (await worker("i-1").open()).claim()).grants).toMatchObject([{ jobId }]);

    await plane.pool.query("update jobs set grant_expires_at = now()");

    const back = "select 1 from jobs where id = $1 and state = 'pending'";
    await eventually(async () => (await plane.pool.query(back, [jobId])).rows[0]);
  });

  it("drains a worker: it is asked to hand over and gets no more work", async () => {
    await plane.operator.createJob("orders");
    const agent = await worker("i-1").open();

    expect(await plane.operator.post(`/workers/${agent.sessionId}/drain`)).toMatchObject({ status: 200 });

    expect((await agent.beat()).actions).toEqual([{ kind: "drain", mode: "handoff", deadlineMs: 600_000 }]);
    expect((await agent.claim()).grants).toEqual([]);
  });

  it("drains a worker that drains by itself, perhaps later or more gently: the order reaches it with its heartbeats", async () => {
    const agent = await worker("i-1").open();
    const drains = async () => (await agent.beat({ state: "draining" })).actions;
    expect([await drains(), await drains()]).toEqual([[], []]);

    await plane.operator.post(`/workers/${agent.sessionId}/drain`);

    const order = { kind: "drain", mode: "handoff", deadlineMs: 600_000 };
    expect([await drains(), await drains()]).toEqual([[order], [order]]);
  });

  it("answers a repeated registration with a token of the same session", async () => {
    const agent = worker("i-1");
    await agent.register();
    await agent.register();
    await agent.beat();

    expect((await plane.operator.get("/workers")).body).toMatchObject([
      { workerId: "i-1", sessionId: agent.sessionId },
    ]);
  });

  it("control-plane 28: refuses an agent that speaks other versions only, and names both sides'", async () => {
    const subjects = { workerId: "i-1", sessionId: randomUUID(), jobId: randomUUID(), testId: "", upgradeId: "" };
    const { register } = sampleMessages({ ...subjects, datasourceId: "", fence: 1 });
    const { url, operator } = plane;
    const said = (spoken: string) =>
      `this control plane speaks version 1 of the worker protocol, the worker ${spoken}: upgrade the one that is behind`;

    for (const [path, protocols, spoken] of [
      [`${WORKER_PATH}register`, [2, 3], "2, 3"],
      ["/worker/v2/register", [2], "2"],
      ["/worker/v0/heartbeat", [0], "0"],
    ] as const) {
      expect(await send(url, path, operator.deploymentToken, { ...register, protocols })).toMatchObject({
        status: 426,
        body: { error: { code: "protocol_unsupported", message: said(spoken) } },
      });
    }
    const both = await send(url, `${WORKER_PATH}register`, operator.deploymentToken, {
      ...register,
      protocols: [2, 1],
    });
    expect(both).toMatchObject({ status: 200, body: { protocol: 1 } });
    expect(await send(url, `${WORKER_PATH}registers`, operator.deploymentToken, register)).toMatchObject({
      status: 404,
    });
  });

  it("control-plane 28: ignores what a newer agent adds to a message", async () => {
    const agent = await worker("i-1").open();

    const beat = { seq: 1, state: "active", running: [], released: [], mood: "good" };
    expect(await agent.send("heartbeat", beat)).toMatchObject({ status: 200 });
  });

  it("keeps a connection for longer than a worker rests between two heartbeats", async () => {
    const [, seconds] =
      /^timeout=(\d+)$/.exec((await fetch(`${plane.url}/healthz`)).headers.get("keep-alive") ?? "") ?? [];

    expect(Number(seconds) * 1_000).toBeGreaterThan(10 * DEFAULT_TIMING.heartbeatMs);
  });

  it("control-plane 22: a copy that ends answers its parked claims, and the other goes on", async () => {
    const agent = await worker("i-1", 1).open();
    const woken = await agent.park();

    await plane.copies[1]?.controlPlane.stop();
    plane.copies.length = 1;

    expect((await woken()).body.grants).toEqual([]);
    expect((await plane.operator.get("/workers")).body).toHaveLength(1);
  });
});
