import { randomUUID } from "node:crypto";
import { LeaseTiming } from "../../../control-plane/lease/timing";
import type { TokenKind } from "../../../control-plane/store/tokens";
import { type Reply, send, TestWorker } from "./clients";
import { digestOfAll } from "./everything";
import { filled, type Operation, operationsOf } from "./operations";
import { type Subjects, sampleBody } from "./sample-requests";
import { useControlPlane } from "./use-control-plane";

/** Nothing runs out while a test looks at what requests change. */
const STILL = LeaseTiming.parse({ serverLeaseMs: 3_600_000, grantMs: 3_600_000 });

const plane = useControlPlane({ timing: STILL });

interface Deployment extends Subjects {
  readonly deploymentId: string;
  readonly tokenId: string;
  readonly tokens: Readonly<Record<TokenKind, string>>;
  /** Words that nothing of another deployment holds. */
  readonly canaries: readonly string[];
}

/** A deployment with something of everything, and its own tokens. */
async function populated(name: string): Promise<Deployment> {
  const of = async (path: string, body?: unknown, method = "POST") => {
    const { status, body: answer } = await send(plane.url, `/api/v1${path}`, plane.operator.token, body, method);
    expect([path, status]).toEqual([path, 200]);
    return answer;
  };
  const { id: deploymentId } = await of("/deployments", { name });
  const base = `/deployments/${deploymentId}`;
  const operator = await of(`${base}/tokens`, { kind: "operator" });
  const deployment = await of(`${base}/tokens`, { kind: "deployment" });
  const datasource = {
    name: `${name}-db`,
    engine: "postgres",
    url: `postgres://${name}-host/shop`,
    user: `${name}-cdc`,
  };
  const { id: datasourceId } = await of(`${base}/datasources`, { ...datasource, password: `${name}-password` });
  const ends = { sourceId: datasourceId, sinkId: datasourceId, tables: [`${name}.orders`] };
  for (const job of ["held", "waits"]) await of(`${base}/jobs`, { name: `${name}-${job}`, ...ends });
  const worker = new TestWorker(plane.url, deployment.token, `${name}-worker`);
  worker.features = ["stop", "drain", "test_connection", "upgrade"];
  await worker.open();
  const [grant] = (await worker.claim()).grants;
  const { jobId = "", fence = 0 } = grant ?? {};
  await worker.ask("started", { jobId, fence });
  await worker.ask("progress", {
    jobId,
    fence,
    checkpoint: { seq: 1, phase: "streaming", position: `${name}-position` },
    gapPossible: { lastConfirmed: "0/5" },
  });
  const { id: testId } = await of(`${base}/datasources/${datasourceId}/test`, { role: "source" });
  const release = { url: `https://releases.example/${name}`, sha256: "ab".repeat(32), signature: "c2ln" };
  const { id: upgradeId } = await of(`${base}/upgrades`, { program: "agent", version: `${name}-version`, ...release });
  return {
    deploymentId,
    tokenId: deployment.id,
    tokens: { operator: operator.token, deployment: deployment.token, worker: worker.token },
    ...{ workerId: worker.workerId, sessionId: worker.sessionId, jobId, fence, testId, upgradeId, datasourceId },
    canaries: [name, jobId, datasourceId, worker.sessionId, testId, upgradeId, operator.id, deployment.id],
  };
}

async function ask(operation: Operation, as: Deployment, about: Deployment, within: string) {
  const path = filled(operation, { ...about, deploymentId: within } as unknown as Record<string, string>);
  const body = sampleBody(operation, about);
  const reply = await send(plane.url, path, as.tokens[operation.token], body, operation.method);
  return { reply, sent: `${path} ${JSON.stringify(body)}` };
}

const saysOf = ({ body }: Reply, canaries: readonly string[]): string[] =>
  canaries.filter((canary) => JSON.stringify(body).includes(canary));

it("control-plane 25: with a valid token of another deployment no endpoint tells or changes anything of this one", async () => {
  // An upgrade's own steps would be taken for what a request did.
  await plane.pool.query(
    "insert into duties values ('upgrades', 'infinity') on conflict (name) do update set due_at = excluded.due_at",
  );
  const [mine, other] = [await populated(`mine-${randomUUID()}`), await populated(`other-${randomUUID()}`)];
  const mineAlone = [mine.deploymentId, ...mine.canaries];
  const before = await digestOfAll(plane.pool, mineAlone);
  const all = await operationsOf(plane.url);
  expect(all.length).toBeGreaterThan(35);

  for (const operation of all) {
    // An id of mine in a path of mine, then smuggled into a path of the other's.
    for (const within of [mine.deploymentId, other.deploymentId]) {
      const { reply, sent } = await ask(operation, other, mine, within);
      const what = `${operation.method} ${sent}: ${reply.status}`;
      const untold = mineAlone.filter((canary) => !sent.includes(canary));
      expect([what, saysOf(reply, untold)]).toEqual([what, []]);
      expect([what, await digestOfAll(plane.pool, mineAlone)]).toEqual([what, before]);
      const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const isOfMine = names.length > 1 || (names.length === 1 && within === mine.deploymentId);
      if (isOfMine && operation.token === "operator" && reply.status !== 403)
        expect([what, reply.status]).toEqual([what, 404]);
    }
  }

  // What the other may not see is there to be seen.
  const told = new Set<string>();
  for (const operation of all.filter(({ method, path }) => method === "GET" && path.includes("{deploymentId}"))) {
    const { reply } = await ask(operation, mine, mine, mine.deploymentId);
    for (const canary of saysOf(reply, mine.canaries)) told.add(canary);
  }
  expect(told).toEqual(new Set(mine.canaries));
});
