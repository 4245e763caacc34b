import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { LeaseTiming } from "../../../control-plane/lease/timing";
import { WORKER_PATH } from "../../../control-plane/protocol";
import { issueToken } from "../../../control-plane/store/tokens";
import { longForm } from "../../support/long-form";
import { send, type TestWorker } from "./clients";
import { valuesOf } from "./document-values";
import { digestOfAll } from "./everything";
import { operationsOf } from "./operations";
import { useControlPlane } from "./use-control-plane";

/** Nothing runs out, and no claim is parked, while a test looks at what requests change. */
const STILL = LeaseTiming.parse({ serverLeaseMs: 3_600_000, grantMs: 3_600_000, claimWaitMs: 0 });
const BODIES = longForm(8, 100);
const SEED = 25;

const plane = useControlPlane({ timing: STILL });

/** Something of everything, and the ids of all of it. */
async function populated(): Promise<string[]> {
  const { operator, pool } = plane;
  await pool.query(
    "insert into duties values ('upgrades', 'infinity') on conflict (name) do update set due_at = 'infinity'",
  );
  const jobIds = [await operator.createJob("orders"), await operator.createJob("items")];
  const worker = await capable("tester");
  await worker.claim();
  await pool.query("update jobs set gap_after = ''");
  const datasource = (await operator.get("/datasources")).body[0].id;
  const test = await operator.post(`/datasources/${datasource}/test`, { role: "source" });
  return [...jobIds, datasource, test.body.id, worker.sessionId];
}

async function capable(workerId: string): Promise<TestWorker> {
  const worker = plane.worker(workerId);
  worker.features = ["stop", "drain", "test_connection", "upgrade"];
  return await worker.open();
}

it(`every operation of the OpenAPI document takes ${BODIES} bodies made from its schema without 5xx, and what is refused changes nothing (seed ${SEED})`, async () => {
  const ids = await populated();
  const statuses = new Map<number, number>();
  const said: string[] = [];
  const all = await operationsOf(plane.url);
  expect(all.filter(({ body }) => body).length).toBeGreaterThan(15);
  for (const [index, { method, path, body }] of all.entries()) {
    const forWorkers = path.startsWith(WORKER_PATH);
    // A token and a session of its own for each operation, so that none hides what the next would do.
    const worker = await capable(`i-${index}`);
    const { token } = await issueToken(plane.pool, { kind: "operator", deploymentId: null });
    const bodies = body
      ? fc.sample(valuesOf(body, ids), { numRuns: BODIES, seed: SEED + index })
      : ids.map(() => undefined);
    for (const [round, value] of bodies.entries()) {
      const id = ids[round % ids.length] ?? randomUUID();
      const filled = path.replace("{deploymentId}", plane.operator.deploymentId).replace(/\{\w+\}/g, id);
      const before = await digestOfAll(plane.pool);
      const reply =
        forWorkers && !path.endsWith("/register")
          ? await worker.send(path.slice(WORKER_PATH.length) as never, value)
          : await send(plane.url, filled, forWorkers ? plane.operator.deploymentToken : token, value, method);
      const what = `${method} ${filled} ${JSON.stringify(value)}: ${reply.status}`;
      statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
      if (reply.status >= 500) throw new Error(`${what} ${JSON.stringify(reply.body)}`);
      // 410 says which of several jobs were not the session's; the others are taken.
      if (reply.status >= 400 && reply.status !== 410)
        expect([what, await digestOfAll(plane.pool)]).toEqual([what, before]);
      if (!forWorkers) said.push(JSON.stringify(reply.body));
    }
  }
  // Some of it was well formed, and did what it says.
  expect(statuses.get(200)).toBeGreaterThan(50);
  expect(statuses.get(400)).toBeGreaterThan(50);
  expect([...said, ...(plane.copies[0]?.logs ?? [])].join()).not.toContain("canary-password");
  expect((await plane.operator.get("/audit/verify")).body).toEqual({ tamperedAt: null });
}, 1_800_000);
