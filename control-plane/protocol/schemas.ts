/**
 * The messages between a worker agent and the control plane, version 1. JSON over HTTPS, always POST, always sent by
 * the worker. Objects ignore keys they do not know, so that either end may be one version ahead of the other.
 *
 * No message carries a time of day: clocks are never compared across machines. Durations are milliseconds.
 */
import * as z from "zod";
import { MAX_CLAIM_WAIT_MS, MAX_DURATION_MS, MAX_JOBS, MAX_TEXT, UUID } from "./limits";

const uuid = z.string().regex(UUID);
/** PostgreSQL holds no NUL and no half of a surrogate pair, which a daemon's last line may have: its end is worth more than they. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;
const text = z
  .string()
  .max(MAX_TEXT)
  .overwrite((value) => value.replace(UNSTORABLE, "\ufffd"));
const count = z.int().min(0);
const durationMs = z.int().min(0).max(MAX_DURATION_MS);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
const labels = z.record(z.string().max(128), z.string().max(256));

/** A job as one claim gave it out. Every later word about the job repeats the fence; a smaller fence is a stale one. */
export const JobRef = z.object({ jobId: uuid, fence: z.int().min(1) });

export const Phase = z.enum(["init", "snapshot", "streaming"]);

/** The last position known to be safe in the sink. `seq` grows by at least one with each checkpoint of a job. */
export const Checkpoint = z.object({ seq: count, phase: Phase, position: text });

/** How to reach a database. The URL never holds credentials. */
export const Connection = z.object({
  /** postgres, mysql, starrocks, snowflake: what a worker's daemon can speak is the daemon's to say. */
  engine: text,
  url: text,
  user: text,
  password: text,
  options: z.record(z.string(), text),
});

/** What a daemon is asked to do. */
export const JobSpec = z.object({
  name: text,
  source: Connection,
  sink: Connection,
  tables: z.array(text).min(1).max(10_000),
  /** Copy the tables' present rows first. */
  snapshot: z.boolean(),
  /** What happens to the daemon when the lease runs out: `stop` it, or `keep` it and never run the job elsewhere meanwhile. */
  onDisconnect: z.enum(["stop", "keep"]),
  /** Settings of the daemon that the control plane does not interpret. */
  options: z.record(z.string(), text),
});

/** A job offered to a worker. It may be run once `started` was answered with success, which must happen within the deadline. */
export const Grant = JobRef.extend({
  attempt: z.int().min(1),
  deadlineMs: durationMs,
  spec: JobSpec,
  /** Where the last holder stopped; null for a job that never made a checkpoint. */
  resume: Checkpoint.nullable(),
});

/** What the control plane asks of a worker. Repeated in every answer until the worker's state shows that it was done. */
export const Action = z.discriminatedUnion("kind", [
  JobRef.extend({
    kind: z.literal("stop"),
    /**
     * `kill`: the job is no longer this worker's, end the daemon at once. `quiesce`: let it reach a checkpoint and keep
     * what it needs to go on elsewhere. `cleanup`: the job is deleted, remove also what it keeps in the source.
     */
    mode: z.enum(["kill", "quiesce", "cleanup"]),
  }),
  z.object({ kind: z.literal("drain"), mode: z.enum(["handoff", "finish"]), deadlineMs: durationMs }),
  z.object({
    kind: z.literal("upgrade"),
    campaignId: uuid,
    program: z.enum(["agent", "daemon"]),
    version: text,
    url: text,
    sha256: text,
    signature: text,
    /** Without it the worker refuses a version older than its own. */
    downgrade: z.boolean(),
  }),
  z.object({
    kind: z.literal("test_connection"),
    testId: uuid,
    role: z.enum(["source", "sink"]),
    deadlineMs: durationMs,
    connection: Connection,
  }),
]);

const actions = z.array(Action).max(MAX_JOBS * 2);

/**
 * Asks for a session. Sent with the deployment's token; every other message carries the token this one answers with.
 * The session opens with its first heartbeat: only a living agent can send that one, whereas a registration of an earlier
 * life may still be under way in some proxy.
 */
export const RegisterRequest = z.object({
  /** Versions of this protocol the worker speaks. */
  protocols: z.array(z.int().min(1)).min(1).max(16),
  workerId: name,
  /** Chosen at random for each life of the agent. Repeating a registration with the same one opens nothing new. */
  sessionId: uuid,
  agentVersion: text.min(1),
  daemonVersion: text.min(1),
  pool: name,
  labels: labels,
  slots: z.int().min(1).max(MAX_JOBS),
  /** Kinds of action the worker understands; others are not sent to it. */
  features: z.array(z.string().max(64)).max(64),
});

export const RegisterResponse = z.object({
  protocol: z.int().min(1),
  token: z.string().min(16).max(256),
  /** When to checkpoint, and when to push metrics. */
  progressMs: durationMs.min(1),
  metricsMs: durationMs.min(1),
});

/**
 * Renews the lease and says what is true on the worker. The first one of a session opens it and closes the worker's session
 * before: jobs of that one which are listed as running stay with the worker, the others are free at once.
 */
export const HeartbeatRequest = z.object({
  /** Grows by one with each heartbeat of a session. */
  seq: count,
  state: z.enum(["active", "draining"]),
  running: z
    .array(
      JobRef.extend({
        status: z.enum(["starting", "running", "stopping"]),
        phase: Phase,
        detail: text.optional(),
      }),
    )
    .max(MAX_JOBS),
  /** Jobs whose daemons were stopped without a report (the lease ran out): they may run elsewhere at once. */
  released: z.array(JobRef).max(MAX_JOBS),
  upgrade: z
    .object({
      campaignId: uuid,
      state: z.enum(["installing", "healthy", "rolled_back", "failed"]),
      detail: text.optional(),
    })
    .optional(),
});

export const HeartbeatResponse = z.object({
  /** The lease lasts this long, counted from just before the heartbeat was sent. */
  leaseMs: durationMs.min(1),
  /** When to send the next heartbeat, spread by the server so that a fleet does not beat in step. */
  nextMs: durationMs.min(1),
  actions,
});

/** Waits for work and for orders. Repeating it with the same claim id gives the same grants again. */
export const ClaimRequest = z.object({
  claimId: uuid,
  /** Of a worker that takes no job now none: it waits for orders alone. */
  freeSlots: z.int().min(0).max(MAX_JOBS),
  waitMs: z.int().min(0).max(MAX_CLAIM_WAIT_MS),
});

export const ClaimResponse = z.object({ grants: z.array(Grant).max(MAX_JOBS), nextMs: durationMs.min(1), actions });

/** Asked before a granted job's daemon is spawned. */
export const StartedRequest = JobRef;

export const ProgressRequest = JobRef.extend({
  checkpoint: Checkpoint,
  /** The daemon restarted in a way that may have skipped changes after this position. */
  gapPossible: z.object({ lastConfirmed: text }).optional(),
});

/** The newest checkpoint held for the job: at least the one sent. */
export const ProgressResponse = z.object({ seq: count });

/** The job ended on this worker; its daemon is gone. Nothing about this fence is accepted afterwards. */
export const ReportRequest = JobRef.extend({
  outcome: z.enum(["completed", "stopped", "failed"]),
  error: text.optional(),
  exitCode: z.int().optional(),
  /** Last lines of the daemon's output, redacted. */
  logTail: z.array(text).max(50),
  checkpoint: Checkpoint.optional(),
  /** The daemon dropped what the job had in its source, as it is told to when the job is deleted; left out, it may still be there. */
  cleaned: z.literal(true).optional(),
});

/** Gives jobs back: their daemons are gone and others may run them at once. */
export const ReleaseRequest = z.object({
  reason: z.enum(["drain", "lease", "refused", "shutdown"]),
  jobs: z
    .array(JobRef.extend({ checkpoint: Checkpoint.optional() }))
    .min(1)
    .max(MAX_JOBS),
});

/** The agent's goodbye: none of its daemons is alive. */
export const DeregisterRequest = z.object({ reason: text });

export const MetricsRequest = z.object({
  jobs: z
    .array(
      JobRef.extend({
        lagBytes: count,
        lagMs: count,
        eventsPerSecond: z.number().min(0),
        eventsTotal: count,
        memoryBytes: count,
        cpuMillicores: count,
      }),
    )
    .max(MAX_JOBS),
  host: z.object({ memoryBytes: count, cpuMillicores: count }),
});

export const ConnectionTestRequest = z.object({
  testId: uuid,
  ok: z.boolean(),
  steps: z
    .array(
      z.object({
        step: z.enum(["dns", "tcp", "tls", "auth", "privileges", "replication", "slots", "write"]),
        result: z.enum(["ok", "warning", "failed", "skipped"]),
        ms: durationMs,
        detail: text,
      }),
    )
    .max(32),
});

export const Acknowledged = z.object({});

/**
 * Every refusal. 401: register again. 410: stop the named job, or with `session_closed` every job, at once.
 * 429 and 503: try again after `retryAfterMs`. Any other: the message is wrong, do not repeat it.
 */
export const Refusal = z.object({
  error: z.object({
    code: text,
    message: text,
    jobs: z.array(JobRef).max(MAX_JOBS),
    retryAfterMs: durationMs,
  }),
});

/** The whole protocol: a message's name is the last part of its path. */
export const MESSAGES = {
  register: { request: RegisterRequest, response: RegisterResponse },
  heartbeat: { request: HeartbeatRequest, response: HeartbeatResponse },
  claim: { request: ClaimRequest, response: ClaimResponse },
  started: { request: StartedRequest, response: Acknowledged },
  progress: { request: ProgressRequest, response: ProgressResponse },
  report: { request: ReportRequest, response: Acknowledged },
  release: { request: ReleaseRequest, response: Acknowledged },
  deregister: { request: DeregisterRequest, response: Acknowledged },
  metrics: { request: MetricsRequest, response: Acknowledged },
  "connection-test": { request: ConnectionTestRequest, response: Acknowledged },
} as const;
