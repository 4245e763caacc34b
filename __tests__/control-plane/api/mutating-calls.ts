import { randomUUID } from "node:crypto";
import { type MutatingCall, RELEASE, type Stage } from "./call-stage";
import type { TestWorker } from "./clients";
import { messageCalls } from "./mutating-messages";

/** Every operation of the API that changes anything, and each way in which it does. */
export function mutatingCalls(stage: Stage): Readonly<Record<string, readonly MutatingCall[]>> {
  return { ...operatorCalls(stage), ...messageCalls(stage) };
}

const DEPLOYMENT = "/api/v1/deployments/{deploymentId}";

function operatorCalls(stage: Stage): Record<string, readonly MutatingCall[]> {
  const { call, within, unique } = stage;
  return {
    "POST /api/v1/deployments": [
      {
        adds: ["deployment.create"],
        prepare: async () => {
          const body = { name: unique("deployment") };
          return {
            ask: call("/api/v1/deployments", body),
            refused: call("/api/v1/deployments", body, "POST", await stage.ownToken()),
          };
        },
      },
    ],
    ...tokenCalls(stage, "/api/v1/tokens", (path, ...more) => call(path, ...more), {}),
    ...tokenCalls(stage, `${DEPLOYMENT}/tokens`, (path, ...more) => within(path.replace(DEPLOYMENT, ""), ...more), {
      kind: "deployment",
    }),
    "POST /api/v1/keys/rotate": [
      {
        adds: ["keys.rotate"],
        again: ["keys.rotate"],
        prepare: async () => ({
          ask: call("/api/v1/keys/rotate"),
          refused: call("/api/v1/keys/rotate", undefined, "POST", await stage.ownToken()),
        }),
      },
    ],
    ...datasourceCalls(stage),
    ...jobCalls(stage),
    ...fleetCalls(stage),
  };
}

function tokenCalls(
  { unique }: Stage,
  path: string,
  call: Stage["within"],
  kind: object,
): Record<string, readonly MutatingCall[]> {
  const issued = async (): Promise<string> => (await call(path, kind)()).body.id;
  const twice = (action: string) => ({ adds: [action], again: [action] });
  return {
    [`POST ${path}`]: [
      {
        ...twice("token.issue"),
        prepare: async () => ({ ask: call(path, kind), refused: call(path, { kind: unique("kind") }) }),
      },
    ],
    [`POST ${path}/{tokenId}/rotate`]: [
      {
        ...twice("token.rotate"),
        prepare: async () => ({
          ask: call(`${path}/${await issued()}/rotate`, {}),
          refused: call(`${path}/${randomUUID()}/rotate`, {}),
        }),
      },
    ],
    [`DELETE ${path}/{tokenId}`]: [
      {
        ...twice("token.revoke"),
        prepare: async () => ({
          ask: call(`${path}/${await issued()}`, undefined, "DELETE"),
          refused: call(`${path}/${randomUUID()}`, undefined, "DELETE"),
        }),
      },
    ],
  };
}

function datasourceCalls(stage: Stage): Record<string, readonly MutatingCall[]> {
  const { within } = stage;
  const datasources = `${DEPLOYMENT}/datasources`;
  return {
    [`POST ${datasources}`]: [
      {
        adds: ["datasource.create"],
        prepare: async () => ({
          ask: within("/datasources", stage.newDatasource()),
          refused: within("/datasources", stage.newDatasource("orders-db")),
        }),
      },
    ],
    [`POST ${datasources}/{datasourceId}`]: [
      {
        adds: ["datasource.change"],
        again: ["datasource.change"],
        prepare: async () => ({
          ask: within(`/datasources/${await stage.datasource()}`, { password: "other" }),
          refused: within(`/datasources/${randomUUID()}`, { password: "other" }),
        }),
      },
    ],
    [`DELETE ${datasources}/{datasourceId}`]: [
      {
        adds: ["datasource.delete"],
        prepare: async () => {
          const used = await stage.datasource();
          await stage.job({ sourceId: used, sinkId: used });
          return {
            ask: within(`/datasources/${await stage.datasource()}`, undefined, "DELETE"),
            refused: within(`/datasources/${used}`, undefined, "DELETE"),
          };
        },
      },
    ],
    [`POST ${datasources}/{datasourceId}/test`]: [
      {
        adds: ["datasource.test"],
        again: ["datasource.test"],
        prepare: async () => {
          await stage.worker();
          const path = `/datasources/${await stage.datasource()}/test`;
          return { ask: within(path, { role: "sink" }), refused: within(path, { role: "sink", pool: "nobody" }) };
        },
      },
    ],
  };
}

function jobCalls(stage: Stage): Record<string, readonly MutatingCall[]> {
  const { within } = stage;
  const wishes = ["run", "pause", "stop", "delete"].map((wish): [string, readonly MutatingCall[]] => [
    `POST ${DEPLOYMENT}/jobs/{jobId}/${wish}`,
    [
      {
        adds: [`job.${wish}`],
        again: [`job.${wish}`],
        prepare: async () => ({
          ask: within(`/jobs/${await stage.job({ run: false })}/${wish}`),
          refused: within(`/jobs/${randomUUID()}/${wish}`),
        }),
      },
    ],
  ]);
  return {
    [`POST ${DEPLOYMENT}/jobs`]: [
      {
        adds: ["job.create"],
        prepare: async () => {
          const id = await stage.datasource();
          const job = { name: stage.unique("job"), sourceId: id, sinkId: id, tables: ["public.t"] };
          return { ask: within("/jobs", job), refused: within("/jobs", { ...job, sinkId: randomUUID() }) };
        },
      },
    ],
    ...Object.fromEntries(wishes),
    [`POST ${DEPLOYMENT}/jobs/{jobId}/acknowledge-gap`]: [
      {
        adds: ["job.gap_acknowledged"],
        prepare: async () => {
          const path = `/jobs/${await stage.gap("0/5")}/acknowledge-gap`;
          return { ask: within(path, { gapAfter: "0/5" }), refused: within(path, { gapAfter: "0/4" }) };
        },
      },
    ],
  };
}

/** Of workers and their upgrades. */
function fleetCalls(stage: Stage): Record<string, readonly MutatingCall[]> {
  const { within, unique } = stage;
  const ofWorker = (
    what: string,
    props: Pick<MutatingCall, "adds" | "again">,
    worker: () => Promise<TestWorker>,
  ): [string, readonly MutatingCall[]] => [
    `POST ${DEPLOYMENT}/workers/{sessionId}/${what}`,
    [
      {
        ...props,
        prepare: async () => ({
          ask: within(`/workers/${(await worker()).sessionId}/${what}`),
          refused: within(`/workers/${randomUUID()}/${what}`),
        }),
      },
    ],
  ];
  const ofUpgrade = (step: string, prepared: readonly string[] = []): [string, readonly MutatingCall[]] => [
    `POST ${DEPLOYMENT}/upgrades/{upgradeId}/${step}`,
    [
      {
        adds: [`upgrade.${step}`],
        prepare: async () => {
          const path = `/upgrades/${await stage.upgrade()}`;
          for (const before of prepared) await within(`${path}/${before}`)();
          return { ask: within(`${path}/${step}`), refused: within(`/upgrades/${randomUUID()}/${step}`) };
        },
      },
    ],
  ];
  const silent = async () => {
    const worker = await stage.worker();
    await stage.running(worker);
    await stage.silence(worker);
    return worker;
  };
  return Object.fromEntries([
    ofWorker("drain", { adds: ["worker.drain"], again: ["worker.drain"] }, stage.worker),
    ofWorker("revoke", { adds: ["worker.revoke"], again: ["worker.revoke"] }, stage.worker),
    ofWorker("gone", { adds: ["job.gone", "job.gone", "worker.gone"] }, silent),
    [
      `POST ${DEPLOYMENT}/upgrades`,
      [
        {
          adds: ["upgrade.create"],
          prepare: async () => {
            const upgrade = { ...RELEASE, pool: unique("pool") };
            return { ask: within("/upgrades", upgrade), refused: within("/upgrades", { ...upgrade, waveSize: 0 }) };
          },
        },
      ],
    ],
    ofUpgrade("pause"),
    ofUpgrade("resume", ["pause"]),
    ofUpgrade("abort"),
  ]);
}
