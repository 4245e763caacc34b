import { randomUUID } from "node:crypto";
import { type MessageName, WORKER_PATH } from "../../../control-plane/protocol";
import { MESSAGES } from "../../../control-plane/protocol/schemas";
import { registrationOf } from "../../support/registration";
import type { MutatingCall, Ready, Ref, Stage } from "./call-stage";
import { send, type TestWorker } from "./clients";

const figures = { lagBytes: 1, lagMs: 1, eventsPerSecond: 1, eventsTotal: 1, memoryBytes: 1, cpuMillicores: 1 };
const host = { memoryBytes: 1, cpuMillicores: 1 };
const checkpoint = { seq: 1, phase: "streaming", position: "0/1" } as const;

const stale = ({ jobId, fence }: Ref): Ref => ({ jobId, fence: fence + 1 });

/** The messages of the worker protocol, by their operations. */
export function messageCalls(stage: Stage): Record<string, readonly MutatingCall[]> {
  const calls: Record<MessageName, readonly MutatingCall[]> = {
    register: [
      {
        adds: ["session.register"],
        // A token is issued with each.
        again: ["session.register"],
        prepare: async () => {
          const { url, sessionId } = await stage.registered();
          const { token } = stage.deployment;
          const message = registrationOf(stage.unique("i"), randomUUID());
          return {
            ask: async () => await send(url, `${WORKER_PATH}register`, token, message),
            refused: async () => await send(url, `${WORKER_PATH}register`, token, registrationOf("other", sessionId)),
          };
        },
      },
    ],
    heartbeat: heartbeats(stage),
    claim: [
      {
        adds: ["job.claim", "job.claim"],
        prepare: async () => {
          const worker = await stage.worker();
          for (let job = 0; job < 2; job++) await stage.job();
          const claim = { claimId: randomUUID(), freeSlots: 2, waitMs: 0 };
          return stage.message(worker, "claim", claim, { ...claim, freeSlots: -1 });
        },
      },
    ],
    started: [
      {
        adds: ["job.started"],
        prepare: async () => {
          const worker = await stage.worker();
          const [ref] = await stage.granted(worker);
          return stage.message(worker, "started", ref, stale(ref));
        },
      },
    ],
    progress: [
      {
        adds: [],
        prepare: async () => await ofRunning(stage, "progress", ([ref]) => ({ ...ref, checkpoint })),
      },
    ],
    report: [
      {
        adds: ["job.report"],
        prepare: async () =>
          await ofRunning(stage, "report", ([ref]) => ({ ...ref, outcome: "completed", logTail: [], checkpoint })),
      },
    ],
    release: [
      {
        adds: ["job.release", "job.release"],
        prepare: async () =>
          await ofRunning(stage, "release", (jobs) => ({
            reason: "drain",
            jobs: jobs.map((ref) => ({ ...ref, checkpoint })),
          })),
      },
    ],
    deregister: [
      {
        adds: ["job.gone", "job.gone", "session.close"],
        prepare: async () => {
          const worker = await stage.worker();
          await stage.running(worker);
          return stage.message(worker, "deregister", { reason: "bye" }, {});
        },
      },
    ],
    metrics: [
      {
        adds: [],
        prepare: async () =>
          await ofRunning(stage, "metrics", (jobs) => ({ jobs: jobs.map((ref) => ({ ...ref, ...figures })), host })),
      },
    ],
    "connection-test": [
      {
        adds: ["datasource.tested"],
        prepare: async () => {
          const { worker, testId } = await stage.askedToTest();
          const answer = { testId, ok: true, steps: [{ step: "tcp", result: "ok", ms: 1, detail: "" }] };
          return stage.message(worker, "connection-test", answer, { ...answer, testId: randomUUID() });
        },
      },
    ],
  };
  const named = (Object.keys(MESSAGES) as MessageName[]).map((name) => [`POST ${WORKER_PATH}${name}`, calls[name]]);
  return Object.fromEntries(named);
}

/** What one heartbeat may bring, one by one. */
function heartbeats(stage: Stage): MutatingCall[] {
  const beat = (worker: TestWorker, props: object = {}): Ready => {
    const message = { seq: 7, state: "active", running: [], released: [], ...props };
    return stage.message(worker, "heartbeat", message, { ...message, seq: -1 });
  };
  return [
    { when: "renews a lease", adds: [], prepare: async () => beat(await stage.worker()) },
    { when: "opens a session", adds: ["session.open"], prepare: async () => beat(await stage.registered()) },
    {
      when: "opens a session that takes up one of two jobs",
      adds: ["job.adopt", "job.gone", "session.open"],
      prepare: async () => {
        const before = await stage.worker();
        const [kept] = await stage.running(before);
        const worker = await stage.registered(before.workerId);
        return beat(worker, { running: [{ ...kept, status: "running", phase: "streaming" }] });
      },
    },
    {
      when: "comes of a session whose registration was committed after a newer one had opened",
      status: 410,
      adds: ["session.close"],
      prepare: async () => {
        const early = await stage.registered();
        await stage.worker(early.workerId);
        await stage.unclose(early);
        return beat(early);
      },
    },
    {
      when: "releases two jobs",
      adds: ["job.release", "job.release"],
      prepare: async () => {
        const worker = await stage.worker();
        return beat(worker, { released: await stage.running(worker) });
      },
    },
    {
      when: "begins to drain",
      adds: ["session.drain"],
      prepare: async () => beat(await stage.worker(), { state: "draining" }),
    },
    ...(["installing", "healthy", "rolled_back", "failed"] as const).map((state) => ({
      when: `tells of an upgrade: ${state}`,
      adds: ["upgrade.worker"],
      prepare: async () => {
        const worker = await stage.worker();
        const upgrade = { campaignId: await stage.askedToUpgrade(), state, detail: "so it is" };
        return beat(worker, { upgrade });
      },
    })),
  ];
}

/** A message of a worker that runs two jobs; with stale fences it is refused. */
async function ofRunning(
  stage: Stage,
  name: MessageName,
  messageOf: (refs: readonly [Ref, Ref]) => object,
): Promise<Ready> {
  const worker = await stage.worker();
  const [one, other] = await stage.running(worker);
  return stage.message(worker, name, messageOf([one, other]), messageOf([stale(one), stale(other)]));
}
