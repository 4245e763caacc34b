import type { Action } from "../../../control-plane/protocol";
import { eventually } from "../../support/eventually";
import type { TestWorker } from "./clients";
import { useControlPlane } from "./use-control-plane";

/** Operators ask the first copy, workers the second. */
const plane = useControlPlane({ copies: 2 });

/** A worker that runs a job. */
async function busy(features: readonly string[]): Promise<{ worker: TestWorker; jobId: string }> {
  const jobId = await plane.operator.createJob("orders");
  const worker = plane.worker("i-1", 1);
  worker.features = [...features];
  await worker.open();
  await worker.claim();
  await worker.ask("started", { jobId, fence: 1 });
  return { worker, jobId };
}

const RELEASE = { url: "https://releases.example/2", sha256: "ab".repeat(32), signature: "c2lnbmVk" };

/** What operators order, and what the worker is then asked: one of each kind of action that there is. */
const ORDERS: Readonly<
  Record<
    string,
    { path: (of: { jobId: string; sessionId: string; datasourceId: string }) => string; body: object; action: object }
  >
> = {
  "to pause a job": {
    path: ({ jobId }) => `/jobs/${jobId}/pause`,
    body: {},
    action: { kind: "stop", mode: "quiesce" },
  },
  "to stop a job": { path: ({ jobId }) => `/jobs/${jobId}/stop`, body: {}, action: { kind: "stop", mode: "quiesce" } },
  "to delete a job": {
    path: ({ jobId }) => `/jobs/${jobId}/delete`,
    body: {},
    action: { kind: "stop", mode: "cleanup" },
  },
  "to drain a worker": {
    path: ({ sessionId }) => `/workers/${sessionId}/drain`,
    body: {},
    action: { kind: "drain", mode: "handoff" },
  },
  "to test a connection": {
    path: ({ datasourceId }) => `/datasources/${datasourceId}/test`,
    body: { role: "source" },
    action: { kind: "test_connection", role: "source", deadlineMs: expect.any(Number) },
  },
  "to upgrade": {
    path: () => "/upgrades",
    body: { program: "agent", version: "2.0.0", ...RELEASE },
    action: { kind: "upgrade", version: "2.0.0" },
  },
};

const ALL: readonly Action["kind"][] = ["stop", "drain", "test_connection", "upgrade"];

async function order(name: keyof typeof ORDERS, { worker, jobId }: Awaited<ReturnType<typeof busy>>): Promise<void> {
  const [{ id: datasourceId }] = (await plane.operator.get("/datasources")).body;
  const { path, body } = ORDERS[name] as (typeof ORDERS)[string];
  const answer = await plane.operator.post(path({ jobId, sessionId: worker.sessionId, datasourceId }), body);
  expect([name, answer.status]).toEqual([name, 200]);
}

describe("control-plane 29: an order", () => {
  it("control-plane 29: there is one for each kind of action", () => {
    const ordered = Object.values(ORDERS).map(({ action }) => (action as Action).kind);
    expect(new Set(ordered)).toEqual(new Set(ALL));
  });

  it.each(Object.keys(ORDERS))("control-plane 29: %s is in the answer to the worker's next heartbeat", async (name) => {
    const held = await busy(ALL);
    // The second copy's own steps, of upgrades, come later than the order's answer.
    await plane.pool.query("update duties set due_at = 'infinity' where name = 'upgrades'");
    const running = [{ jobId: held.jobId, fence: 1, status: "running", phase: "streaming" } as const];
    expect((await held.worker.beat({ running })).actions).toEqual([]);

    await order(name, held);

    expect((await held.worker.beat({ running })).actions).toMatchObject([ORDERS[name]?.action]);
  });

  it.each(Object.keys(ORDERS).flatMap((name) => [1, 0].map((freeSlots) => [name, freeSlots] as const)))(
    "control-plane 29: %s ends the claim that its worker has parked at another copy, for %i slots",
    async (name, freeSlots) => {
      const held = await busy(ALL);
      await plane.pool.query("update duties set due_at = 'infinity' where name = 'upgrades'");
      const woken = await held.worker.park(freeSlots);

      await order(name, held);

      expect((await woken()).body.actions).toMatchObject([ORDERS[name]?.action]);
    },
  );

  it("control-plane 28: of a kind that a worker does not list reaches it neither way", async () => {
    const held = await busy(["stop", "drain"]);
    await order("to upgrade", held);
    const [{ id }] = (await plane.operator.get("/datasources")).body;

    expect((await plane.operator.post(`/datasources/${id}/test`, { role: "source" })).status).toBe(409);
    const running = [{ jobId: held.jobId, fence: 1, status: "running", phase: "streaming" } as const];
    expect((await held.worker.beat({ running })).actions).toEqual([]);
    expect((await held.worker.claim()).actions).toEqual([]);
  });
});

it("control-plane 29: to pause a job that was not started yet refuses its start, and stops nothing", async () => {
  const jobId = await plane.operator.createJob("orders");
  const worker = await plane.worker("i-1", 1).open();
  await worker.claim();

  await plane.operator.post(`/jobs/${jobId}/pause`);

  expect((await worker.beat()).actions).toEqual([]);
  expect(await worker.send("started", { jobId, fence: 1 })).toMatchObject({ status: 410 });
});

it("control-plane 25: revoking a worker's token at one copy ends its claim that is parked at another", async () => {
  const worker = await plane.worker("i-1", 1).open();
  const woken = await worker.park();

  expect((await plane.operator.post(`/workers/${worker.sessionId}/revoke`)).status).toBe(200);

  expect(await woken()).toMatchObject({ status: 401, body: { error: { code: "token_invalid" } } });
});

describe("control-plane 22: a copy that has lost the connection on which it listens", () => {
  const listeners = async (ended: readonly number[]) =>
    await eventually(async () => {
      const { rows } = await plane.pool.query<{ pid: number }>(
        `select pid from pg_stat_activity
         where datname = current_database() and application_name = 'holdfast listener' and query like 'listen%' and state = 'idle'
           and pid <> all($1)`,
        [ended],
      );
      return rows.length === 2 ? rows.map(({ pid }) => pid) : undefined;
    });
  const loseThem = async () => {
    const before = await listeners([]);
    await plane.pool.query("select pg_terminate_backend(pid) from unnest($1::int[]) pid", [before]);
    await listeners(before);
  };

  it("control-plane 22: hears of orders again", async () => {
    await loseThem();
    const worker = await plane.worker("i-1", 1).open();
    const woken = await worker.park();

    expect((await plane.operator.post(`/workers/${worker.sessionId}/drain`)).status).toBe(200);

    expect((await woken()).body.actions).toMatchObject([{ kind: "drain" }]);
  });

  it("control-plane 22: tells the workers whose claims are parked there what it has not heard of meanwhile", async () => {
    const worker = await plane.worker("i-1", 1).open();
    const woken = await worker.park();
    // As where another copy has told of it while this one did not listen.
    await plane.pool.query("update sessions set draining = true, drain_ordered = true where id = $1", [
      worker.sessionId,
    ]);

    await loseThem();

    expect((await woken()).body.actions).toMatchObject([{ kind: "drain" }]);
  });
});

it("control-plane 29: a connection test waits for half a minute at most, then it is shown as expired", async () => {
  const tester = plane.worker("i-1", 1);
  tester.features = [...ALL];
  await tester.open();
  const [{ id }] = (await plane.operator.get("/datasources")).body;
  const { body } = await plane.operator.post(`/datasources/${id}/test`, { role: "source" });
  const { rows } = await plane.pool.query(
    "select extract(epoch from expires_at - asked_at)::float as seconds from connection_tests where id = $1",
    [body.id],
  );
  expect(rows).toEqual([{ seconds: 30 }]);
  const shown = async () => (await plane.operator.get(`/connection-tests/${body.id}`)).body.state;
  expect(await shown()).toBe("waiting");

  // As after thirty seconds, whatever has become of the worker.
  await plane.pool.query(
    "update connection_tests set asked_at = asked_at - interval '30 s', expires_at = expires_at - interval '30 s'",
  );
  expect(await shown()).toBe("expired");
});

it("control-plane 29: a connection test whose password cannot be opened has failed, and costs the worker that was asked nothing", async () => {
  const tester = plane.worker("i-1", 1);
  tester.features = [...ALL];
  await tester.open();
  const [{ id }] = (await plane.operator.get("/datasources")).body;
  const { body } = await plane.operator.post(`/datasources/${id}/test`, { role: "source" });
  // As where it was sealed with a key that this copy is not given yet.
  await plane.pool.query(
    "update datasources set sealed_password = replace(sealed_password, 'k1', 'k2') where id = $1",
    [id],
  );

  expect(await tester.beat()).toMatchObject({ actions: [] });

  expect((await plane.operator.get(`/connection-tests/${body.id}`)).body).toMatchObject({
    state: "answered",
    ok: false,
    steps: [{ step: "auth", result: "failed", detail: "the secret was sealed with key k2, which the keyring lacks" }],
  });
});
