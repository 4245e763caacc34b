import type { AnswerName } from "../../../control-plane/protocol";

const jobId = "0b8f0c3e-6f1d-4a57-9d0e-2f1f4a3c5b6d";
const connection = {
  engine: "postgres",
  url: "postgres://db.internal:5432/shop",
  user: "cdc",
  password: "pässword",
  options: { sslmode: "verify-full" },
};
const spec = {
  name: "orders",
  source: connection,
  sink: { ...connection, engine: "starrocks", options: {} },
  tables: ["public.orders", "public.items"],
  snapshot: true,
  onDisconnect: "stop",
  options: { flushSize: "10000" },
};
const upgrade = {
  kind: "upgrade",
  campaignId: jobId,
  program: "agent",
  version: "1.4.0",
  url: "https://releases.example/agent.mjs",
  sha256: "a".repeat(64),
  signature: "MEUCIQ==",
  downgrade: false,
};
const actions = [
  { kind: "stop", jobId, fence: 7, mode: "quiesce" },
  { kind: "drain", mode: "handoff", deadlineMs: 110_000 },
  upgrade,
  { kind: "test_connection", testId: jobId, role: "sink", deadlineMs: 10_000, connection },
];

/** Valid answers of every kind, with each optional part present in one and absent in another. */
export const SAMPLE_ANSWERS: Readonly<Record<AnswerName, readonly unknown[]>> = {
  register: [{ protocol: 1, token: "hfw_0123456789abcdef", progressMs: 30_000, metricsMs: 60_000 }],
  heartbeat: [
    { leaseMs: 15_000, nextMs: 4_870, actions },
    { leaseMs: 15_000, nextMs: 4_870, actions: [] },
  ],
  claim: [
    { grants: [{ jobId, fence: 2, attempt: 1, deadlineMs: 10_000, spec, resume: null }], nextMs: 1, actions: [] },
    {
      grants: [
        {
          jobId,
          fence: 2 ** 40,
          attempt: 3,
          deadlineMs: 10_000,
          spec: { ...spec, onDisconnect: "keep" },
          resume: { seq: 88, phase: "streaming", position: "0/1528818" },
        },
      ],
      nextMs: 1,
      actions,
    },
  ],
  started: [{}],
  progress: [{ seq: 12 }],
  report: [{}],
  release: [{}],
  deregister: [{}],
  metrics: [{}],
  "connection-test": [{}],
  refusal: [
    { error: { code: "fenced", message: "job runs elsewhere", jobs: [{ jobId, fence: 2 }], retryAfterMs: 0 } },
    { error: { code: "rate_limited", message: "slow down", jobs: [], retryAfterMs: 500 } },
  ],
};
