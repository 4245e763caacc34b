/** What the control plane answers to each message of the worker protocol. */
import type { HttpBindings } from "@hono/node-server";
import { nextBeatMs } from "../lease/next-beat";
import type { Placement } from "../lease/placement";
import { grantLastsMs } from "../lease/timing";
import { isSameRef, refOf } from "../protocol/job-ref";
import { PROTOCOL_VERSION } from "../protocol/limits";
import type { Action, JobRef, MessageName, Request, Response } from "../protocol/messages";
import { openGrants } from "../store/claim";
import { answerTest, readOwedTests } from "../store/connection-tests";
import { transaction } from "../store/database";
import type { Renewal } from "../store/heartbeats";
import { releaseJobs, saveCheckpoint, saveMetrics, ungrantJob } from "../store/holder";
import {
  deregisterSession,
  type HeldJob,
  markDraining,
  readSessions,
  registerSession,
  type SessionState,
} from "../store/sessions";
import { issueToken, readValidTokens, type TokenHolder } from "../store/tokens";
import { noteUpgrade, readOwedUpgrades } from "../store/upgrades";
import type { ApiContext } from "./context";
import { type Leaving, whenUndelivered } from "./delivery";
import type { Ending } from "./parking";
import { fenced, protocolUnsupported, RequestRefused, sessionClosed, tokenInvalid } from "./refusal";

/** Who sends a message, and the connection it came on. */
export interface Sender {
  readonly holder: TokenHolder;
  readonly deploymentId: string;
  /** The session of a worker's token. Empty for `register`, which comes with a deployment's. */
  readonly sessionId: string;
  readonly placement: Placement;
  readonly gone: Leaving;
  readonly outgoing: HttpBindings["outgoing"];
}

type Handlers = {
  readonly [Name in MessageName]?: (api: ApiContext, sender: Sender, request: Request<Name>) => Promise<Response<Name>>;
};

const PROGRESS_MS = 30_000;
const METRICS_MS = 60_000;
/** There are jobs that its session may not have, since its lease is over or its slots are full: its claim is woken for none so long. */
const UNABLE_MS = 1_000;
const DRAIN: Action = { kind: "drain", mode: "handoff", deadlineMs: 600_000 };

export const HANDLERS = {
  register: async (api, { deploymentId }, request) => {
    if (!request.protocols.includes(PROTOCOL_VERSION)) throw protocolUnsupported(request.protocols);
    return await transaction(api.pool, async (tx) => {
      if ((await registerSession(tx, deploymentId, request)) === "session_closed") throw sessionClosed();
      const { token } = await issueToken(tx, { kind: "worker", deploymentId, sessionId: request.sessionId });
      return { protocol: PROTOCOL_VERSION, token, progressMs: PROGRESS_MS, metricsMs: METRICS_MS };
    });
  },

  heartbeat: async (api, { holder, sessionId }, request) => {
    const arrivedAt = Date.now();
    const state = holder.session?.state === "registered" ? "registered" : "open";
    const { tokenId } = holder;
    // The renewal checks the token; what is written before it needs a check of its own.
    if ((request.upgrade || request.released.length > 0) && !(await isValid(api, tokenId))) throw tokenInvalid();
    if (request.upgrade) await noteUpgrade(api.pool, sessionId, request.upgrade, request.state === "draining");
    const renewal = await api.heartbeats.beat({ tokenId, sessionId }, state, request);
    if (renewal === "refused") throw (await isValid(api, tokenId)) ? sessionClosed() : tokenInvalid();
    if (request.state === "draining" && !renewal.draining) await markDraining(api.pool, sessionId);
    const unheard = request.state === "draining" ? unheardOf(renewal.held, request.running) : [];
    for (const grant of unheard) await ungrantJob(api.pool, sessionId, grant);
    if (request.released.length + unheard.length > 0 || state === "registered") api.waker.jobsReady();
    const orders = ordersFor(renewal, request);
    const isOwed = renewal.owesTest || renewal.owesUpgrade;
    return {
      leaseMs: api.timing.workerLeaseMs,
      nextMs: nextBeatMs(api.timing.heartbeatMs, arrivedAt, Math.random),
      actions: isOwed ? [...orders, ...(await owed(api, sessionId, renewal))] : orders,
    };
  },

  claim: async (api, sender, request) => {
    const { holder, sessionId, placement } = sender;
    const { tokenId } = holder;
    const { claimId, freeSlots: slots } = request;
    const { waker } = api;
    const grantMs = grantLastsMs(api.timing);
    const endsAt = performance.now() + Math.min(request.waitMs, api.timing.claimWaitMs);
    const ask = async (woken?: Ending, seen?: SessionState) => {
      const answered = waker.asks(placement, woken);
      const claim = { ...placement, sessionId, tokenId, claimId, slots, grantMs, seen };
      const claimed = await api.jobWrites.claim(claim);
      if (claimed === "refused") throw tokenInvalid();
      answered(claimed.isMore);
      return claimed;
    };
    const look = async () => {
      const [sessions, tokens] = await Promise.all([
        readSessions(api.pool, [sessionId], [claimId]),
        readValidTokens(api.pool, [tokenId]),
      ]);
      if (!tokens.has(tokenId)) throw tokenInvalid();
      const session = sessions.get(sessionId);
      // What was granted and not started yet may be what the claim was answered before.
      return openGrants(session, { claimId }).length > 0 ? await ask() : { session, granted: [], isMore: false };
    };
    let seen: SessionState | undefined;
    for (let woken: Ending | undefined; ; ) {
      const leftMs = endsAt - performance.now();
      const ending = sender.gone.aborted || waker.stopped;
      const mayAsk = slots > 0 && !ending;
      const asks = mayAsk && (leftMs <= 0 || woken?.why === "jobs" || waker.mayHaveWork(placement));
      const { session, granted, isMore } = asks ? await ask(woken, seen) : await look();
      if (!session || session.state === "closed") throw sessionClosed();
      const drain = session.draining ? [DRAIN] : [];
      const actions = [...stopOrders(session.unwanted), ...drain, ...(await owed(api, sessionId, session))];
      if (granted.length > 0 || actions.length > 0 || ending || leftMs <= 0) {
        const grants = granted.map(({ jobId, fence, assignment }) => {
          return { jobId, fence, ...assignment, deadlineMs: grantMs };
        });
        takeBackUndelivered(api, sender, grants.map(refOf));
        api.telemetry.claimed(granted.filter(({ isNew }) => isNew).length);
        return { grants, nextMs: waker.askAgainMs(), actions };
      }
      if (mayAsk && !asks && waker.mayHaveWork(placement)) continue;
      seen = session;
      const asking = { sessionId, placement: slots > 0 && !isMore ? placement : undefined };
      woken = await waker.park(asking, isMore ? Math.min(leftMs, UNABLE_MS) : leftMs, sender.gone);
      if (woken.why === "over" && !isMore) return { grants: [], nextMs: waker.askAgainMs(), actions: [] };
    }
  },

  started: async (api, { holder: { tokenId }, sessionId }, ref) => {
    const said = await api.jobWrites.start({ sessionId, tokenId, ...ref });
    if (said !== "started") throw said === "refused" ? tokenInvalid() : fenced([ref]);
    return {};
  },

  progress: async (api, { sessionId }, request) => {
    const seq = await saveCheckpoint(
      api.pool,
      sessionId,
      request,
      request.checkpoint,
      request.gapPossible?.lastConfirmed,
    );
    if (seq === "fenced") throw fenced([refOf(request)]);
    return { seq };
  },

  report: async (api, { holder: { tokenId }, sessionId }, request) => {
    const said = await api.jobWrites.report({ sessionId, tokenId, ...request });
    if (said !== "reported") throw said === "refused" ? tokenInvalid() : fenced([refOf(request)]);
    // After a failure the job waits, and what has come to its end is not for anybody.
    if (request.outcome === "stopped") api.waker.jobsReady();
    return {};
  },

  release: async (api, { sessionId }, request) => {
    const stale = await releaseJobs(api.pool, sessionId, request.jobs);
    api.waker.jobsReady();
    if (stale.length > 0) throw fenced(stale);
    return {};
  },

  deregister: async (api, { sessionId }) => {
    await deregisterSession(api.pool, sessionId);
    api.waker.jobsReady();
    return {};
  },

  metrics: async (api, { sessionId }, request) => {
    const stale = await saveMetrics(api.pool, sessionId, request.jobs);
    if (stale.length > 0) throw fenced(stale);
    return {};
  },

  "connection-test": async (api, { sessionId }, request) => {
    if (!(await answerTest(api.pool, sessionId, request))) {
      throw new RequestRefused(400, "invalid_message", "testId: this session was not asked for that test");
    }
    return {};
  },
} satisfies Handlers;

const isValid = async ({ pool }: ApiContext, tokenId: string): Promise<boolean> =>
  (await readValidTokens(pool, [tokenId])).has(tokenId);

/**
 * Grants that did not reach their worker, which drains: it lists what it is about to start, and takes nothing up any more. A `started` that
 * is on its way is either heard before, and then the job stays, or comes with a stale fence.
 */
const unheardOf = (held: readonly HeldJob[], running: readonly JobRef[]): readonly HeldJob[] =>
  held.filter((job) => job.state === "starting" && !running.some((ref) => isSameRef(job, ref)));

/** Ends what a worker runs and does not hold, stops what it holds and nobody wants, and has it drain where that is wanted. */
function ordersFor({ held, draining, drainOrdered }: Renewal, { state, running }: Request<"heartbeat">): Action[] {
  const strangers = running.filter((ref) => !held.some((job) => isSameRef(job, ref)));
  const kills: Action[] = strangers.map(({ jobId, fence }) => ({ kind: "stop", mode: "kill", jobId, fence }));
  const drain = drainOrdered || (draining && state !== "draining") ? [DRAIN] : [];
  return [...kills, ...stopOrders(held), ...drain];
}

function stopOrders(held: readonly HeldJob[]): Action[] {
  return held
    .filter(({ state, desired }) => state === "running" && desired !== "run")
    .map(({ jobId, fence, desired }) => ({
      kind: "stop",
      mode: desired === "delete" ? "cleanup" : "quiesce",
      jobId,
      fence,
    }));
}

/** Requests that are repeated until the worker has answered them. */
async function owed(
  { pool, keyring }: ApiContext,
  sessionId: string,
  { owesTest, owesUpgrade }: { owesTest: boolean; owesUpgrade: boolean },
): Promise<Action[]> {
  const tests = owesTest ? await readOwedTests(pool, keyring, sessionId) : [];
  return owesUpgrade ? [...tests, ...(await readOwedUpgrades(pool, sessionId))] : tests;
}

/**
 * A grant that did not reach its worker goes to somebody else at once instead of waiting for its deadline. One that was started stays. It
 * is waited for without the credentials that grants hold.
 */
function takeBackUndelivered(api: ApiContext, { gone, outgoing, sessionId }: Sender, grants: readonly JobRef[]): void {
  if (grants.length === 0) return;
  const takeBack = (): void => {
    const ungranted = grants.map((grant) => ungrantJob(api.pool, sessionId, grant));
    Promise.all(ungranted).then(
      () => api.waker.jobsReady(),
      (error) => api.logger.warn({ error: String(error), sessionId }, "undelivered grants wait for their deadline"),
    );
  };
  if (gone.aborted) takeBack();
  else whenUndelivered(outgoing, api.timing.grantMs, takeBack);
}
