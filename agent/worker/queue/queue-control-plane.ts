import {
  type Action,
  type Answer,
  type Grant,
  isSameRef,
  type JobRef,
  type MessageName,
  type Request,
} from "../../../control-plane/protocol";
import type { Instant } from "../../../control-plane/protocol/worker-lease";
import { type Aws, AwsError } from "../../host/aws";
import { type Log, reason } from "../../host/log";
import { sleep } from "../../host/waiting";
import { listOf } from "../../host/xml";
import { type ControlPlaneClient, ControlPlaneError, type PostOptions } from "../control-plane-client";
import { machineInstant } from "../lease-keeper";
import type { HeldMessage, HeldMessages } from "./held-messages";
import type { LastPositions } from "./last-positions";
import hold from "./message-hold.json";
import { jobSpecOf, parseQueueMessage } from "./queue-message";

export interface QueueProps {
  readonly aws: Pick<Aws, "call">;
  readonly queueUrl: string;
  readonly held: HeldMessages;
  /** How far jobs got that ran here. @default - of a job that comes back it is not known */
  readonly positions?: Pick<LastPositions, "of" | "keep" | "forget">;
  readonly log: Log;
  /** How long a message stays invisible to others after its time was extended; the bounds are those of `message-hold.json`. @default 120 */
  readonly visibilitySeconds?: number;
  /** @default - the clocks of the machine */
  readonly now?: () => Instant;
}

/** Before a message may be another's, its daemon has been ended and seen to be gone. */
const MARGIN_SECONDS = 30;
/** Extensions within one visibility time: two may fail. */
const EXTENSIONS = 4;
/** An attempt of an AWS call is cut after ten seconds. */
const WAIT_SECONDS = 8;
/** All attempts of a call together; none is sent later. */
const CALL_MS = WAIT_SECONDS * 2_000;
/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html */
const MOST_AT_ONCE = 10;
const GRANT_MS = 10_000;
/** Longest wait before a job that failed is tried again. */
const RETRY_CAP_SECONDS = 300;
/** Of a message that this worker cannot read, or has not the secrets for: another may. */
const UNUSABLE_SECONDS = 5;
const DAY_MS = 86_400_000;
/** A job that is handed over at the end of its hold alone should not become a dead letter sooner. */
const ENDLESS_DAYS = 30;
/** Of a message that comes again while this worker, which polls on, is giving it back. */
const LEFT_SECONDS = 1;
const PROGRESS_MS = 30_000;
/** More jobs than a worker has at a time, and clears up after. */
const FENCES_KEPT = 1_000;

/** SQS extends the time of a message until it has been the receiver's for so long, and no further. */
const LONGEST_HOLD_SECONDS = hold.longestHoldSeconds;
/** From the receipt to the daemon's start, and to quiesce it with the longest flush interval that a job may have. */
const LETTING_GO_SECONDS = hold.lettingGoSeconds;

/** What SQS answers when the message is no longer the receiver's. */
const LOST = /ReceiptHandleIsInvalid|MessageNotInflight|InvalidParameterValue|InvalidIdFormat/;

/** `signal` ends the wait for an answer. */
type Handlers = {
  readonly [Name in MessageName]: (message: Request<Name>, signal: AbortSignal) => Promise<Answer<Name>>;
};

/**
 * A queue in the control plane's place: the same messages, answered by SQS. A message is a job, its visibility the lease,
 * the number of its receipts the fence. A job that ended is deleted; one that failed is seen again after a while, and goes to the dead-letter
 * queue when it has been received as often as the queue's redrive policy says.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
 */
export function queueControlPlane(props: QueueProps): ControlPlaneClient {
  const { visibilitySeconds = hold.visibilitySeconds.default } = props;
  const longestJobMs = Math.max(0, LONGEST_HOLD_SECONDS - visibilitySeconds - LETTING_GO_SECONDS) * 1_000;
  const polls = new Set<Promise<unknown>>();
  const handlers = handlersOf({ ...props, visibilitySeconds, longestJobMs }, polls);
  return {
    longestJobMs,
    givesBackLateGrants: true,
    countsGrants: true,
    settled: async () => void (await Promise.allSettled(polls)),
    async post<Name extends MessageName>(name: Name, message: Request<Name>, _token: string, options?: PostOptions) {
      try {
        return await handlers[name](message, options?.signal ?? new AbortController().signal);
      } catch (error) {
        if (error instanceof ControlPlaneError) throw error;
        const status = error instanceof AwsError ? error.status : 0;
        // A refusal by AWS says nothing about the session, which is kept.
        const again = status >= 400 && status < 500 ? 503 : status;
        throw new ControlPlaneError(`${name}: ${reason(error)}`, again, 0, "", { cause: error });
      }
    },
  };
}

/** @param polls holds those that are under way. */
function handlersOf(
  {
    aws,
    queueUrl,
    held,
    positions,
    log,
    visibilitySeconds,
    longestJobMs,
    now = machineInstant,
  }: Omit<QueueProps, "visibilitySeconds"> & { readonly longestJobMs: number; readonly visibilitySeconds: number },
  polls: Set<Promise<unknown>>,
): Handlers {
  const call = (action: string, params: Parameters<Aws["call"]>[2]) =>
    aws.call("sqs", action, { QueueUrl: queueUrl, ...params }, { timeoutMs: CALL_MS });
  const setVisibility = (receipt: string, seconds: number) =>
    call("ChangeMessageVisibility", { ReceiptHandle: receipt, VisibilityTimeout: seconds });
  /** Until when SQS hides at least what it hides by a call that begins now. */
  const hiddenUntil = (): Instant => {
    const { monotonicMs, wallMs } = now();
    const visibilityMs = visibilitySeconds * 1_000;
    return { monotonicMs: monotonicMs + visibilityMs, wallMs: wallMs + visibilityMs };
  };
  /**
   * Whether a call that begins now reaches the message before another may have it. SQS takes an older receipt as well, and a change of its
   * visibility then is one of the other's hold.
   */
  const isHidden = (until: Instant | undefined): boolean => {
    if (!until) return true;
    const { monotonicMs, wallMs } = now();
    return Math.min(until.monotonicMs - monotonicMs, until.wallMs - wallMs) > CALL_MS;
  };
  const fenced = (ref: JobRef) => new ControlPlaneError(`${ref.jobId} is no longer held`, 410, 0, "fenced");

  let isFirstBeat = true;
  /** The largest fence of the jobs that this worker had last. */
  const fences = new Map<string, number>();
  const had = ({ jobId, fence }: JobRef) => {
    const largest = Math.max(fence, fences.get(jobId) ?? 0);
    fences.delete(jobId);
    fences.set(jobId, largest);
    const [oldest] = fences.keys();
    if (fences.size > FENCES_KEPT && oldest !== undefined) fences.delete(oldest);
  };
  /** Jobs that are being given back: what comes of them meanwhile is no second delivery of a job that runs. */
  const leaving = new Map<string, Promise<void>>();

  /** Lets others have it, after a while; what is no longer held is not missed, and comes to others by itself. */
  const giveBack = async (ref: JobRef, afterSeconds: number) => {
    const message = held.of(ref);
    if (!message) return;
    if (!isHidden(message.until)) return await held.forget(ref);
    const given = ignoringLost(setVisibility(message.receipt, afterSeconds)).then(() => held.forget(ref));
    leaving.set(ref.jobId, given);
    await given.finally(() => {
      if (leaving.get(ref.jobId) === given) leaving.delete(ref.jobId);
    });
  };

  /** The messages whose time could not be extended: they are somebody else's, or gone. */
  const extend = async (all: readonly HeldMessage[]): Promise<HeldMessage[]> => {
    // A daemon that an earlier life has left runs no longer than the hold on its message, whatever was written down of that.
    const messages = isFirstBeat ? all : all.filter(({ until }) => isHidden(until));
    const lost = all.filter((message) => !messages.includes(message));
    for (let at = 0; at < messages.length; at += MOST_AT_ONCE) {
      const batch = messages.slice(at, at + MOST_AT_ONCE);
      const entries = batch.map(({ receipt }, index) => ({
        Id: `${index}`,
        ReceiptHandle: receipt,
        VisibilityTimeout: visibilitySeconds,
      }));
      const until = hiddenUntil();
      const { Failed } = await call("ChangeMessageVisibilityBatch", { Entries: entries });
      for (const { Id, SenderFault, Message } of listOf(Failed)) {
        const message = batch[Number(Id)];
        // A fault of SQS's own is one of the whole: the lease is not renewed.
        if (!SenderFault) throw new Error(`visibility not extended: ${Message}`);
        if (message) lost.push(message);
      }
      await held.prolong(
        batch.filter((message) => !lost.includes(message)),
        until,
      );
    }
    return lost;
  };

  /** Lets another have a message that is not held. */
  const refuse = async (receipt: string, until: Instant, afterSeconds: number): Promise<void> => {
    if (!isHidden(until)) return;
    await ignoringLost(setVisibility(receipt, afterSeconds)).catch((error) =>
      log.warn("message not given back", { reason: reason(error) }),
    );
  };

  /** A message becomes a job, unless the worker has begun to leave by `signal`: then it is anyone's at once. */
  const grantOf = async (
    message: Readonly<Record<string, unknown>>,
    until: Instant,
    signal: AbortSignal,
  ): Promise<Grant | undefined> => {
    const [jobId, receipt] = [String(message["MessageId"]), String(message["ReceiptHandle"])];
    const attributes = message["Attributes"] as Readonly<Record<string, string>> | undefined;
    const receipts = Number(attributes?.["ApproximateReceiveCount"] ?? 1);
    // What could not be given back is tried again, by the newest receipt.
    const hasLeft = await leaving.get(jobId)?.then(
      () => true,
      () => false,
    );
    if (hasLeft) {
      await refuse(receipt, until, signal.aborted ? 0 : LEFT_SECONDS);
      return undefined;
    }
    const running = held.ofJob(jobId);
    if (running) {
      // Delivered twice: the newer receipt is the one that counts, the job runs on.
      try {
        await held.hold({ ...running, receipt, until });
      } catch (error) {
        log.warn("newer receipt not written down", { jobId, reason: reason(error) });
      }
      return undefined;
    }
    try {
      signal.throwIfAborted();
      const spec = await jobSpecOf(aws, parseQueueMessage(String(message["Body"])));
      signal.throwIfAborted();
      // The count is approximate: what this worker is still clearing up after had another fence in any case.
      const fence = Math.max(receipts, (fences.get(jobId) ?? 0) + 1);
      await held.hold({ jobId, fence, receipt, until });
      had({ jobId, fence });
      if (fence === 1 && !spec.snapshot) {
        log.warn(
          "a job begins without a copy: if it ran under another message before a redrive, changes since are missing",
          {
            jobId,
            job: spec.name,
          },
        );
      }
      const resume = positions?.of(jobId) ?? null;
      return { jobId, fence, attempt: fence, deadlineMs: GRANT_MS, spec, resume };
    } catch (error) {
      if (!signal.aborted) {
        log.error("message not usable", { messageId: jobId, receipts, reason: reason(error) });
      }
      await refuse(receipt, until, signal.aborted ? 0 : UNUSABLE_SECONDS);
      return undefined;
    }
  };

  const receive = async (most: number, signal: AbortSignal): Promise<readonly Grant[]> => {
    try {
      await held.requireWritable();
    } catch (error) {
      // What is received would have to be refused, which costs each message a receipt, until it is a dead letter.
      throw new Error("nothing is received while it cannot be written down", { cause: error });
    }
    if (signal.aborted) return [];
    const until = hiddenUntil();
    const { Messages } = await call("ReceiveMessage", {
      MaxNumberOfMessages: Math.min(most, MOST_AT_ONCE),
      WaitTimeSeconds: WAIT_SECONDS,
      VisibilityTimeout: visibilitySeconds,
      AttributeNames: ["ApproximateReceiveCount"],
    });
    const grants = await Promise.all(listOf(Messages).map((message) => grantOf(message, until, signal)));
    const usable = grants.filter((grant) => grant !== undefined);
    if (!signal.aborted) return usable;
    for (const grant of usable) await giveBack(grant, 0);
    return [];
  };

  return {
    register: async () => {
      const { Attributes } = await call("GetQueueAttributes", { AttributeNames: ["RedrivePolicy"] });
      const policy = (Attributes as Readonly<Record<string, string>> | undefined)?.["RedrivePolicy"];
      if (!policy) {
        const message = `${queueUrl} has no redrive policy: a job that fails each time would be tried for ever; give it a dead-letter queue`;
        throw new ControlPlaneError(message, 400, 0, "queue_unusable");
      }
      warnOfEndlessJobs(policy, longestJobMs, log);
      return { protocol: 1, token: `queue ${queueUrl}`, progressMs: PROGRESS_MS, metricsMs: PROGRESS_MS * 2 };
    },
    heartbeat: async ({ running, released }) => {
      for (const ref of running) had(ref);
      for (const ref of released) await giveBack(ref, 0);
      // Before its first beat a life of the agent has claimed nothing: what is held and does not run is left by an earlier one.
      if (isFirstBeat)
        for (const ref of held.all()) if (!running.some((other) => isSameRef(ref, other))) await giveBack(ref, 0);
      const mine = running.flatMap((ref) => held.of(ref) ?? []);
      const lost = await extend(mine);
      isFirstBeat = false;
      for (const ref of lost) await held.forget(ref);
      const strangers = running.filter((ref) => !held.of(ref));
      const actions = strangers.map(({ jobId, fence }): Action => ({ kind: "stop", mode: "kill", jobId, fence }));
      const leaseMs = (visibilitySeconds - MARGIN_SECONDS) * 1_000;
      return { leaseMs, nextMs: Math.round(leaseMs / EXTENSIONS), actions };
    },
    claim: async ({ freeSlots, waitMs }, signal) => {
      // Nobody orders anything of a queue's worker.
      if (freeSlots === 0) {
        await sleep(waitMs, signal);
        return { grants: [], nextMs: 1, actions: [] };
      }
      const poll = receive(freeSlots, signal);
      polls.add(poll);
      void poll.catch(() => {}).finally(() => polls.delete(poll));
      const grants = (await unlessAborted(poll, signal)) ?? [];
      return { grants: [...grants], nextMs: 1, actions: [] };
    },
    started: async (ref) => {
      const message = held.of(ref);
      if (!message) throw fenced(ref);
      const until = hiddenUntil();
      try {
        if (isHidden(message.until)) {
          await setVisibility(message.receipt, visibilitySeconds);
          await held.prolong([ref], until);
          return {};
        }
      } catch (error) {
        if (!isLost(error)) throw error;
      }
      await held.forget(ref);
      throw fenced(ref);
    },
    progress: async ({ checkpoint, ...ref }) => {
      if (!held.of(ref)) throw fenced(ref);
      await positions?.keep(ref.jobId, checkpoint);
      return { seq: checkpoint.seq };
    },
    report: async ({ outcome, error, checkpoint, ...ref }) => {
      const message = held.of(ref);
      if (!message) throw fenced(ref);
      log.info("job ended", { jobId: ref.jobId, receipts: ref.fence, outcome, ...(error && { error }) });
      if (outcome === "failed") {
        await positions?.keep(ref.jobId, checkpoint);
        await giveBack(ref, Math.min(RETRY_CAP_SECONDS, 2 ** ref.fence));
      } else {
        await ignoringLost(call("DeleteMessage", { ReceiptHandle: message.receipt }));
        await positions?.forget(ref.jobId);
      }
      await held.forget(ref);
      return {};
    },
    release: async ({ jobs }) => {
      for (const { checkpoint, ...ref } of jobs) {
        if (held.of(ref)) await positions?.keep(ref.jobId, checkpoint);
        await giveBack(ref, 0);
      }
      return {};
    },
    deregister: async () => {
      for (const ref of held.all()) await giveBack(ref, 0);
      return {};
    },
    metrics: async () => ({}),
    "connection-test": async () => ({}),
  };
}

/**
 * Each time that a job is handed over it is received again, and SQS never counts anew: one that has no end becomes a dead letter,
 * however well it fares.
 */
function warnOfEndlessJobs(redrivePolicy: string, longestJobMs: number, log: Log): void {
  const receipts = Number(JSON.parse(redrivePolicy).maxReceiveCount);
  const days = (receipts * longestJobMs) / DAY_MS;
  if (!(days < ENDLESS_DAYS)) return;
  const hours = (longestJobMs * 24) / DAY_MS;
  log.warn(
    "endless jobs become dead letters: raise maxReceiveCount, which SQS takes up to 1000, or give them a control plane",
    { after: `${days.toFixed(1)} days (${receipts} receipts of ${hours.toFixed(1)} h)` },
  );
}

const isLost = (error: unknown) => error instanceof AwsError && LOST.test(error.code);

async function ignoringLost(done: Promise<unknown>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!isLost(error)) throw error;
  }
}

/**
 * What a poll brings, or nothing as soon as `signal` is aborted. The poll is not cut then: SQS would go on with it and hand out messages
 * that nobody receives, see https://github.com/aws/aws-sdk-js/issues/2350.
 */
function unlessAborted<T>(poll: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const leave = () => resolve(undefined);
    const heard = new AbortController();
    signal.addEventListener("abort", leave, { signal: heard.signal });
    poll.then(resolve, reject).finally(() => heard.abort());
  });
}
