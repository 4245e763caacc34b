import { randomUUID } from "node:crypto";
import type { MessageName, Request } from "../../../control-plane/protocol";
import { registrationOf } from "../../support/registration";
import { messageOf, type Operation } from "./operations";

/** What the requests are about. */
export interface Subjects {
  readonly workerId: string;
  readonly sessionId: string;
  readonly jobId: string;
  readonly fence: number;
  readonly testId: string;
  readonly upgradeId: string;
  readonly datasourceId: string;
}

export type Messages = { readonly [Name in MessageName]: Request<Name> };

/** A message of each name, with everything that it may hold. */
export function sampleMessages({ workerId, sessionId, jobId, fence, testId, upgradeId }: Subjects): Messages {
  const ref = { jobId, fence };
  const checkpoint = { seq: 9, phase: "streaming", position: "0/9" } as const;
  const figures = { lagBytes: 5, lagMs: 9, eventsPerSecond: 1.5, eventsTotal: 3, memoryBytes: 1, cpuMillicores: 2 };
  return {
    register: registrationOf(workerId, sessionId, { labels: { disk: "ssd" }, features: ["stop", "drain"] }),
    heartbeat: {
      seq: 1,
      state: "active",
      running: [{ ...ref, status: "running", phase: "streaming", detail: "copying" }],
      released: [ref],
      upgrade: { campaignId: upgradeId, state: "failed", detail: "no space left" },
    },
    claim: { claimId: randomUUID(), freeSlots: 4, waitMs: 0 },
    started: ref,
    progress: { ...ref, checkpoint, gapPossible: { lastConfirmed: "0/5" } },
    report: { ...ref, outcome: "failed", error: "no route", exitCode: 1, logTail: ["bye"], checkpoint, cleaned: true },
    release: { reason: "drain", jobs: [{ ...ref, checkpoint }] },
    deregister: { reason: "bye" },
    metrics: { jobs: [{ ...ref, ...figures }], host: { memoryBytes: 1, cpuMillicores: 1 } },
    "connection-test": { testId, ok: true, steps: [{ step: "dns", result: "ok", ms: 3, detail: "10.0.0.7" }] },
  };
}

/** A body that each operation of operators takes; new names each time. */
const BODIES: Readonly<Record<string, (of: Subjects) => object>> = {
  "POST /api/v1/deployments": () => ({ name: randomUUID() }),
  "POST /api/v1/tokens": () => ({}),
  "POST /api/v1/tokens/{tokenId}/rotate": () => ({}),
  "POST /api/v1/deployments/{deploymentId}/tokens": () => ({ kind: "deployment" }),
  "POST /api/v1/deployments/{deploymentId}/tokens/{tokenId}/rotate": () => ({}),
  "POST /api/v1/deployments/{deploymentId}/datasources": () => ({
    name: randomUUID(),
    engine: "postgres",
    url: "postgres://other.internal/shop",
    user: "cdc",
    password: "other",
  }),
  "POST /api/v1/deployments/{deploymentId}/datasources/{datasourceId}": () => ({ password: "other" }),
  "POST /api/v1/deployments/{deploymentId}/datasources/{datasourceId}/test": () => ({ role: "source" }),
  "POST /api/v1/deployments/{deploymentId}/jobs": ({ datasourceId }) => ({
    name: randomUUID(),
    sourceId: datasourceId,
    sinkId: datasourceId,
    tables: ["public.orders"],
  }),
  "POST /api/v1/deployments/{deploymentId}/jobs/{jobId}/acknowledge-gap": () => ({ gapAfter: "0/5" }),
  "POST /api/v1/deployments/{deploymentId}/upgrades": () => ({
    pool: `pool-${randomUUID()}`,
    program: "agent",
    version: "2.0.0",
    url: "https://releases.example/agent.mjs",
    sha256: "ab".repeat(32),
    signature: "c2lnbmVk",
  }),
};

/** What an operation takes, of whatever it is about; undefined where it takes no body. @throws Error for one that is not known here */
export function sampleBody(operation: Operation, subjects: Subjects): unknown {
  if (!operation.body) return undefined;
  const message = messageOf(operation);
  if (message) return sampleMessages(subjects)[message as MessageName];
  const of = BODIES[`${operation.method} ${operation.path}`];
  if (!of) throw new Error(`write a body that ${operation.method} ${operation.path} takes`);
  return of(subjects);
}
