import { send, type TestWorker } from "./clients";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

function worker(workerId: string): TestWorker {
  const created = plane.worker(workerId);
  created.features = ["stop", "drain", "test_connection"];
  return created;
}

describe("a connection test", () => {
  const steps = [
    { step: "dns", result: "ok", ms: 3, detail: "10.0.0.7" },
    { step: "auth", result: "failed", ms: 40, detail: "password authentication failed" },
  ] as const;

  async function datasourceId(): Promise<string> {
    return (await plane.operator.get("/datasources")).body[0].id;
  }

  it("control-plane 29: reaches a parked worker at once, comes with credentials, and ends with an answer step by step", async () => {
    const tester = await worker("i-1").open();
    const woken = await tester.park();
    const asked = await plane.operator.post(`/datasources/${await datasourceId()}/test`, { role: "source" });
    expect(asked.status).toBe(200);

    const { actions } = (await woken()).body;
    expect(actions).toMatchObject([
      {
        kind: "test_connection",
        testId: asked.body.id,
        role: "source",
        connection: { user: "cdc", password: "canary-password" },
      },
    ]);
    // Repeated until it is answered.
    expect((await tester.beat()).actions).toHaveLength(1);
    const shown = async () => (await plane.operator.get(`/connection-tests/${asked.body.id}`)).body;
    expect(await shown()).toMatchObject({ state: "waiting", workerId: "i-1", steps: [] });

    await tester.ask("connection-test", { testId: asked.body.id, ok: false, steps: [...steps] });
    await tester.ask("connection-test", { testId: asked.body.id, ok: true, steps: [] });
    expect(await shown()).toMatchObject({ state: "answered", ok: false, steps });
    expect(JSON.stringify(await shown())).not.toContain("canary");
    expect((await tester.beat()).actions).toEqual([]);
  });

  it("always ends: an answer that never comes shows as expired, and nobody is asked any more", async () => {
    const tester = await worker("i-1").open();
    const { body } = await plane.operator.post(`/datasources/${await datasourceId()}/test`, { role: "sink" });
    await plane.pool.query("update connection_tests set expires_at = now()");

    expect((await plane.operator.get(`/connection-tests/${body.id}`)).body).toMatchObject({ state: "expired" });
    expect((await tester.beat()).actions).toEqual([]);
  });

  it("is asked of nobody who works for another pool, or is silent", async () => {
    const path = `/datasources/${await datasourceId()}/test`;
    await worker("i-1").open();

    expect((await plane.operator.post(path, { role: "source", pool: "batch" })).status).toBe(409);
    await plane.pool.query("update leases set expires_at = now()");
    expect((await plane.operator.post(path, { role: "source" })).status).toBe(409);
  });

  it("is asked of workers that can, in turn, and answered by the one that was asked", async () => {
    const path = `/datasources/${await datasourceId()}/test`;
    const old = await plane.worker("old").open();
    expect(await plane.operator.post(path, { role: "source" })).toMatchObject({
      status: 409,
      body: {
        error: { message: expect.stringContaining("no worker of pool default is there that can test connections") },
      },
    });

    const workers = [await worker("i-1").open(), await worker("i-2").open()];
    for (let round = 0; round < 2; round++) await plane.operator.post(path, { role: "source" });
    const asked = [];
    for (const each of [old, ...workers]) asked.push((await each.beat()).actions);
    expect(asked.map((actions) => actions.length)).toEqual([0, 1, 1]);

    const [action] = asked[1] ?? [];
    const testId = action?.kind === "test_connection" ? action.testId : "";
    const stranger = await workers[1]?.send("connection-test", { testId, ok: true, steps: [] });
    expect(stranger?.status).toBe(400);
    expect((await plane.operator.get(`/connection-tests/${testId}`)).body).toMatchObject({ state: "waiting" });
  });

  it("control-plane 29: is asked of one that waits for jobs rather than of one whose slots are full, and of that rather than of one that drains, which hears of it with its next heartbeat", async () => {
    const draining = await worker("i-0").open();
    await draining.beat({ state: "draining" });
    const full = await worker("i-1").open();
    for (const name of ["a", "b", "c", "d"]) {
      await plane.operator.createJob(name);
      await full.claim();
    }
    const waiting = await worker("i-2").open();
    const askTwice = async () => {
      for (let round = 0; round < 2; round++) {
        await plane.operator.post(`/datasources/${await datasourceId()}/test`, { role: "source" });
      }
    };

    await askTwice();
    expect((await full.beat()).actions).toEqual([]);
    expect((await waiting.beat()).actions).toHaveLength(2);

    await waiting.ask("deregister", { reason: "it leaves" });
    await askTwice();
    const running = (await plane.operator.get("/jobs")).body.map(({ id: jobId }: { id: string }) => {
      return { jobId, fence: 1, status: "starting", phase: "init" };
    });
    expect((await full.beat({ running })).actions).toHaveLength(2);
    expect((await draining.beat({ state: "draining" })).actions).toMatchObject([]);
  });
});

it("control-plane 25: revoking a worker's token ends its parked claim, and nothing is taken from it any more", async () => {
  const revoked = await worker("i-1").open();
  const woken = await revoked.park();
  const { sessionId } = (await plane.operator.get("/workers")).body[0];

  expect((await plane.operator.post(`/workers/${sessionId}/revoke`, {})).status).toBe(200);

  expect(await woken()).toMatchObject({ status: 401, body: { error: { code: "token_invalid" } } });
  expect(await revoked.send("heartbeat", { seq: 9, state: "active", running: [], released: [] })).toMatchObject({
    status: 401,
  });
});

it("control-plane 26: keys are rotated by an operator of all deployments, and the log says so", async () => {
  const { url } = plane;
  expect(await send(url, "/api/v1/keys/rotate", plane.operator.token, {})).toMatchObject({
    status: 200,
    body: { key: "k1", wrapped: 0 },
  });
  const { body } = await send(url, "/api/v1/audit", plane.operator.token, undefined, "GET");
  expect(body.map(({ action }: { action: string }) => action)).toContain("keys.rotate");
  expect((await send(url, "/api/v1/audit/verify", plane.operator.token, undefined, "GET")).body).toEqual({
    tamperedAt: null,
  });

  const { body: own } = await plane.operator.post("/tokens", { kind: "operator" });
  for (const path of ["/api/v1/keys/rotate", "/api/v1/tokens"]) {
    expect(await send(url, path, own.token, {})).toMatchObject({
      status: 403,
      body: { error: { code: "token_scope" } },
    });
  }
});
