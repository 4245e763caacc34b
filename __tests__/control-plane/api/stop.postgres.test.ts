import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { Client } from "pg";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { WORKER_PATH } from "../../../control-plane/protocol";
import { eventually } from "../../support/eventually";
import { lockWaits } from "../../support/lock-waits";
import { send, startCopy, TestWorker } from "./clients";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane({ props: { stopGraceMs: 100 } });

it("cuts a connection whose request never comes to its end", async () => {
  const asked = request(`${plane.url}/api/v1/deployments`, {
    method: "POST",
    headers: { authorization: `Bearer ${plane.operator.token}`, "content-length": 100, expect: "100-continue" },
  });
  const broken = new Promise<Error>((resolve) => asked.once("error", resolve));
  asked.flushHeaders();
  // The server has taken the request, and waits for its body.
  await new Promise((resolve) => asked.once("continue", resolve));
  asked.write("{");

  await plane.copies[0]?.controlPlane.stop();

  expect((await broken).message).toMatch(/socket hang up|ECONNRESET/);
  expect(plane.copies[0]?.logs.join()).toContain("cutting connections that are still busy");
});

it("ends a connection with the answer to its parked claim, instead of waiting until it has been idle for long enough", async () => {
  const { controlPlane, logs } = await startCopy(plane.databaseUrl, DEFAULT_TIMING, { stopGraceMs: 60_000 });
  const worker = await new TestWorker(controlPlane.url, plane.operator.deploymentToken, "i-1").open();
  const claim = fetch(`${controlPlane.url}${WORKER_PATH}claim`, {
    method: "POST",
    headers: { authorization: `Bearer ${worker.token}`, "content-type": "application/json" },
    body: JSON.stringify({ claimId: randomUUID(), freeSlots: 1, waitMs: 30_000 }),
  });
  const figures = async () => (await fetch(`${controlPlane.url}/metrics`)).text();
  await eventually(async () => (/^holdfast_parked_claims 1$/m.test(await figures()) ? true : undefined));

  await controlPlane.stop();

  const answer = await claim;
  expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"]);
  expect(logs.join()).not.toContain("cutting connections");
});

it("leaves a database that does not answer", async () => {
  const [copy] = plane.copies;
  // GIVEN a round of sweeping that waits for a lock which nobody gives up
  const blocker = new Client(plane.databaseUrl);
  await blocker.connect();
  await blocker.query("begin; lock table pulse");
  await lockWaits(plane.pool);

  await copy?.controlPlane.stop();

  expect(copy?.logs.join()).toContain("stopped without the database, which does not answer");
  await blocker.end();
});

it("tells the other copies what it has not told them yet, so that a worker which waits there is woken", async () => {
  const { controlPlane } = await startCopy(plane.databaseUrl);
  const worker = await new TestWorker(plane.url, plane.operator.deploymentToken, "i-1").open();
  const others = await Promise.all(
    ["i-2", "i-3"].map((id) => new TestWorker(plane.url, plane.operator.deploymentToken, id).open()),
  );
  const answer = await worker.park();
  const drain = async ({ sessionId }: TestWorker) =>
    await send(controlPlane.url, `${plane.operator.base}/workers/${sessionId}/drain`, plane.operator.token);

  // The first is told at once; what comes soon after it waits.
  await Promise.all([...others, worker].map(drain));
  await controlPlane.stop();

  expect((await answer()).body.actions).toMatchObject([{ kind: "drain" }]);
});
