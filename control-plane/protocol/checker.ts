/**
 * The agent's half of the schemas: checks what the server answers, in at most one kilobyte of the user data.
 * A test holds it equal to the zod schemas on 100,000 mutated messages.
 */
import { MAX_DURATION_MS, MAX_JOBS, MAX_TEXT, UUID } from "./limits";
import type { Answer, AnswerName } from "./messages";

/** Throws an error that names the path of the first part that is wrong. */
// biome-ignore lint/suspicious/noExplicitAny: the value comes from outside and is read before its type is known
type Check = (value: any, path: string) => void;

const where =
  (holds: (value: unknown) => unknown): Check =>
  (value, path) => {
    if (!holds(value)) throw new Error(`unexpected answer: ${path}`);
  };
const both =
  (one: Check, other: Check): Check =>
  (value, path) => {
    one(value, path);
    other(value, path);
  };

const within = (value: number, min: number, max: number) => value >= min && value <= max;
const integer = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  where((value) => Number.isInteger(value) && within(value as number, min, max));
const string = (min: number, max: number) =>
  where((value) => typeof value === "string" && within(value.length, min, max));
const oneOf = (...values: unknown[]) => where((value) => values.includes(value));
const isObject = where((value) => value && typeof value === "object" && !Array.isArray(value));

const object = (fields: Record<string, Check>) =>
  both(isObject, (value, path) => {
    for (const key in fields) fields[key]?.(value[key], `${path}.${key}`);
  });
const list = (item: Check, min: number, max: number) =>
  both(
    where((value) => Array.isArray(value) && within(value.length, min, max)),
    (value, path) => {
      for (const key in value) item(value[key], `${path}.${key}`);
    },
  );
const nullable =
  (check: Check): Check =>
  (value, path) => {
    if (value !== null) check(value, path);
  };

const text = string(0, MAX_TEXT);
const boolean = oneOf(true, false);
const uuid = where((value) => typeof value === "string" && UUID.test(value));
const positive = integer(1);
const count = integer(0);
const durationMs = integer(0, MAX_DURATION_MS);
const intervalMs = both(durationMs, positive);

const options = both(isObject, (value, path) => {
  for (const key in value) text(value[key], `${path}.${key}`);
});
const jobRef = { jobId: uuid, fence: positive };
const connection = object({
  engine: text,
  url: text,
  user: text,
  password: text,
  options,
});

const actions: Record<string, Check> = {
  stop: object({ ...jobRef, mode: oneOf("kill", "quiesce", "cleanup") }),
  drain: object({ mode: oneOf("handoff", "finish"), deadlineMs: durationMs }),
  upgrade: object({
    campaignId: uuid,
    program: oneOf("agent", "daemon"),
    version: text,
    url: text,
    sha256: text,
    signature: text,
    downgrade: boolean,
  }),
  test_connection: object({ testId: uuid, role: oneOf("source", "sink"), deadlineMs: durationMs, connection }),
};
const kind = oneOf(...Object.keys(actions));
const action = both(object({ kind }), (value, path) => actions[value.kind]?.(value, path));
const orders = { nextMs: intervalMs, actions: list(action, 0, MAX_JOBS * 2) };

const answers: Record<string, Check> = {
  register: object({
    protocol: positive,
    token: string(16, 256),
    progressMs: intervalMs,
    metricsMs: intervalMs,
  }),
  heartbeat: object({ ...orders, leaseMs: intervalMs }),
  claim: object({
    ...orders,
    grants: list(
      object({
        ...jobRef,
        attempt: positive,
        deadlineMs: durationMs,
        spec: object({
          name: text,
          source: connection,
          sink: connection,
          tables: list(text, 1, 10_000),
          snapshot: boolean,
          onDisconnect: oneOf("stop", "keep"),
          options,
        }),
        resume: nullable(object({ seq: count, phase: oneOf("init", "snapshot", "streaming"), position: text })),
      }),
      0,
      MAX_JOBS,
    ),
  }),
  progress: object({ seq: count }),
  refusal: object({
    error: object({
      code: text,
      message: text,
      jobs: list(object(jobRef), 0, MAX_JOBS),
      retryAfterMs: durationMs,
    }),
  }),
};

/**
 * What the control plane answered to a message, parsed from JSON; `refusal` when the status was 400 or above.
 * Throws an error that names the first part that is wrong.
 */
export function checkAnswer<Name extends AnswerName>(name: Name, answer: unknown): Answer<Name> {
  (answers[name] ?? isObject)(answer, name);
  return answer as Answer<Name>;
}
