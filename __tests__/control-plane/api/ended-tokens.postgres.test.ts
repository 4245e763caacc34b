import { randomUUID } from "node:crypto";
import { LeaseTiming } from "../../../control-plane/lease/timing";
import type { MessageName } from "../../../control-plane/protocol";
import { deletePast } from "../../../control-plane/store/retention";
import { issueToken, type TokenKind } from "../../../control-plane/store/tokens";
import { send } from "./clients";
import { digestOfAll } from "./everything";
import { filled, operationsOf } from "./operations";
import { restBetweenRequests } from "./resting-clock";
import { type Subjects, sampleBody, sampleMessages } from "./sample-requests";
import { useControlPlane } from "./use-control-plane";

/** Nothing runs out while a test looks at what requests change. */
const STILL = LeaseTiming.parse({ serverLeaseMs: 3_600_000, grantMs: 3_600_000 });

const plane = useControlPlane({ timing: STILL });

afterEach(() => jest.restoreAllMocks());

/** How tokens end, once they were used. */
const ENDS = {
  revoked: "update tokens set revoked_at = now() where id = $1",
  expired: "update tokens set expires_at = now() where id = $1",
} as const;

/** A session that holds a job, and all else that a request may be about. */
async function holder(): Promise<{ subjects: Subjects }> {
  const { operator } = plane;
  await plane.pool.query("insert into duties values ('upgrades', 'infinity') on conflict (name) do nothing");
  const jobId = await operator.createJob("orders");
  const worker = await plane.worker("i-1").open();
  await worker.claim();
  await worker.ask("started", { jobId, fence: 1 });
  const datasourceId = (await operator.get("/datasources")).body[0].id;
  const { sessionId, workerId } = worker;
  const others = { testId: randomUUID(), upgradeId: randomUUID() };
  return { subjects: { workerId, sessionId, jobId, fence: 1, datasourceId, ...others } };
}

it("control-plane 25: a token that was revoked or has expired is refused at every endpoint, though it was taken a moment before", async () => {
  const { operator } = plane;
  const { subjects } = await holder();
  const scopes: Readonly<Record<TokenKind, Parameters<typeof issueToken>[1]>> = {
    operator: { kind: "operator", deploymentId: null },
    deployment: { kind: "deployment", deploymentId: operator.deploymentId },
    worker: { kind: "worker", deploymentId: operator.deploymentId, sessionId: subjects.sessionId },
  };
  /** What each kind of token is used for, so that the copy remembers whom it speaks for. */
  const uses: Readonly<Record<TokenKind, (token: string) => Promise<{ status: number }>>> = {
    operator: async (token) => {
      const ends = { sourceId: subjects.datasourceId, sinkId: subjects.datasourceId };
      return await send(plane.url, `${operator.base}/jobs`, token, { name: randomUUID(), ...ends, tables: ["t"] });
    },
    deployment: async (token) =>
      await send(plane.url, "/worker/v1/register", token, {
        ...sampleMessages(subjects).register,
        sessionId: randomUUID(),
      }),
    worker: async (token) => {
      const running = [{ jobId: subjects.jobId, fence: 1, status: "running", phase: "init" }];
      return await send(plane.url, "/worker/v1/heartbeat", token, { seq: 1, state: "active", running, released: [] });
    },
  };
  const rest = restBetweenRequests();
  const paths = { ...subjects, deploymentId: operator.deploymentId, tokenId: randomUUID() } as unknown;
  const all = await operationsOf(plane.url);
  expect(all.length).toBeGreaterThan(35);

  for (const operation of all) {
    for (const [how, end] of Object.entries(ENDS)) {
      const { id, token } = await issueToken(plane.pool, scopes[operation.token]);
      expect((await uses[operation.token](token)).status).toBe(200);
      await plane.pool.query(end, [id]);
      const before = await digestOfAll(plane.pool);
      rest();

      const path = filled(operation, paths as Record<string, string>);
      const reply = await send(plane.url, path, token, sampleBody(operation, subjects), operation.method);

      const what = `${operation.method} ${path}, ${how}`;
      expect([what, reply]).toMatchObject([what, { status: 401, body: { error: { code: "token_invalid" } } }]);
      expect([what, await digestOfAll(plane.pool)]).toEqual([what, before]);
    }
  }
});

it("control-plane 9: every message of a worker's life that another one has followed is answered 410, and changes nothing", async () => {
  const { subjects } = await holder();
  const names = Object.keys(sampleMessages(subjects)).filter((name) => name !== "register") as MessageName[];
  // Each with a life of its own, so that none makes the copy forget the token that the next one brings.
  const told: [MessageName, number, string][] = [];
  for (const name of names) {
    const jobId = await plane.operator.createJob(name);
    const former = await plane.worker(`i-${name}`).open();
    const { fence = 0 } = (await former.claim()).grants[0] ?? {};
    await former.ask("started", { jobId, fence });
    // The next life takes up the same job under the same fence.
    await plane.worker(`i-${name}`).open([{ jobId, fence, status: "running", phase: "streaming" }]);
    const message = sampleMessages({ ...subjects, jobId, fence })[name];
    const before = await digestOfAll(plane.pool);

    for (const _ of ["remembered", "forgotten"]) {
      const { status, body } = await former.send(name, message);
      told.push([name, status, body.error?.code]);
    }
    await expect(former.register()).rejects.toThrow();
    expect([name, await digestOfAll(plane.pool)]).toEqual([name, before]);
  }
  expect(told).toEqual(
    names.flatMap((name) => [1, 2].map(() => [name, 410, expect.stringMatching(/^session_closed$|^fenced$/)])),
  );
});

it("control-plane 9: a life of a worker that was followed, and deleted for its age since, is answered 401, and changes nothing", async () => {
  const { subjects } = await holder();
  const former = await plane.worker(subjects.workerId).open();
  await plane.worker(subjects.workerId).open();
  expect(await deletePast(plane.pool, 0)).toBe(2);
  const before = await digestOfAll(plane.pool);

  const messages = Object.entries(sampleMessages(subjects)).filter(([name]) => name !== "register");
  for (const [name, message] of messages) {
    const reply = await former.send(name as MessageName, message);
    expect([name, reply]).toMatchObject([name, { status: 401, body: { error: { code: "token_invalid" } } }]);
  }
  expect(messages.length).toBeGreaterThan(7);
  expect(await digestOfAll(plane.pool)).toEqual(before);
});
