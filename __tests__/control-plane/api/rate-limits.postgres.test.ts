import { randomUUID } from "node:crypto";
import { Pool } from "pg";
import { issueToken, type TokenKind } from "../../../control-plane/store/tokens";
import { send } from "./clients";
import { filled, operationsOf } from "./operations";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

/** More than a token has at once. */
const MANY = 420;
const AT_ONCE = 30;
const BEAT = { seq: 9, state: "active", running: [], released: [] };

afterEach(() => jest.restoreAllMocks());

it("control-plane 25: a token that asks too often is told at every endpoint when to ask again, in the body and in Retry-After", async () => {
  const { operator, url } = plane;
  const worker = await plane.worker("i-1").open();
  const wasteful = await issueToken(plane.pool, { kind: "operator", deploymentId: null });
  const tokens: Readonly<Record<TokenKind, string>> = {
    operator: wasteful.token,
    deployment: operator.deploymentToken,
    worker: worker.token,
  };
  const all = await operationsOf(url);
  const ask = async (method: string, path: string, authorization: string) =>
    await fetch(`${url}${path}`, { method, headers: { authorization }, ...(method === "POST" && { body: "{}" }) });
  // No token is given back while the clock stands still.
  jest.spyOn(performance, "now").mockReturnValue(performance.now());
  for (const [kind, token] of Object.entries(tokens)) {
    const [method, path] =
      kind === "operator"
        ? ["GET", "/api/v1/deployments"]
        : ["POST", `/worker/v1/${kind === "worker" ? "metrics" : "register"}`];
    for (let asked = 0; asked < MANY; asked += AT_ONCE) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => await (await ask(method, path, `Bearer ${token}`)).text()),
      );
    }
  }

  for (const operation of all) {
    const ids = ["deploymentId", "jobId", "datasourceId", "testId", "tokenId", "sessionId", "upgradeId"];
    const path = filled(operation, Object.fromEntries(ids.map((id) => [id, randomUUID()])));
    const answer = await ask(operation.method, path, `Bearer ${tokens[operation.token]}`);
    const what = `${operation.method} ${operation.path}`;
    expect([what, answer.status, answer.headers.get("retry-after")]).toEqual([what, 429, "1"]);
    expect(await answer.json()).toEqual({
      error: { code: "rate_limited", message: "too many requests", jobs: [], retryAfterMs: 20 },
    });
  }
  const page = await ask("GET", "/", `Basic ${Buffer.from(`me:${wasteful.token}`).toString("base64")}`);
  expect([page.status, page.headers.get("retry-after")]).toEqual([429, "1"]);
  // What the same address does with another token is its own affair.
  expect((await send(url, "/api/v1/deployments", operator.token, undefined, "GET")).status).toBe(200);
});

it("control-plane 25: what is refused to a token that asks too often costs no look at the database", async () => {
  const worker = await plane.worker("i-1").open();
  await worker.beat();
  const asked = jest.spyOn(Pool.prototype, "query");
  jest.spyOn(performance, "now").mockReturnValue(performance.now());

  const statuses: number[] = [];
  for (let sent = 0; sent < MANY; sent += AT_ONCE) {
    const beats = Array.from({ length: AT_ONCE }, async () => (await worker.send("heartbeat", BEAT)).status);
    statuses.push(...(await Promise.all(beats)));
  }

  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  const lookups = asked.mock.calls.filter(([statement]) => /where t\.hash/.test(JSON.stringify(statement)));
  expect(lookups).toHaveLength(0);
});
