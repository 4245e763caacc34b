import { randomUUID } from "node:crypto";
import { type Answer, type Grant, type MessageName, type Request, refOf } from "../../control-plane/protocol";
import { type Log, reason } from "../host/log";
import { fullJitterMs, sleep } from "../host/waiting";
import { type ControlPlaneClient, ControlPlaneError } from "./control-plane-client";
import { retryAfterMs } from "./heartbeats";
import type { JobSource } from "./jobs/job-source";
import type { Orders } from "./orders";
import type { SessionState } from "./session";

export interface ControlPlaneSourceProps {
  readonly controlPlane: ControlPlaneClient;
  readonly session: Pick<SessionState, "token" | "open">;
  readonly orders: Orders;
  readonly log: Log;
  /** Ends the trying to be heard: the agent is gone in a moment. */
  readonly ending: AbortSignal;
}

/** Shorter than what proxies between worker and server allow. */
const PARK_MS = 45_000;
const ANSWER_MS = 10_000;
const BACKOFF = { baseMs: 250, capMs: 10_000 };
const NO_SESSION_MS = 200;
/** Answers that bring orders come at once, for as long as the orders are not done. */
const ORDERED_MS = 1_000;
/** An earlier control plane refuses a claim for no jobs; it may have been replaced by then. */
const ORDERS_REFUSED_MS = 300_000;

const NOT_UNDERSTOOD = "the control plane did not understand what was said of the end; the worker's log has the reason";

/** Jobs from the control plane. */
export function controlPlaneSource(props: ControlPlaneSourceProps): JobSource {
  const { controlPlane, session, orders, log, ending } = props;

  /** Says it until it is heard; undefined when it never will be, or the trying ends. */
  const deliver = async <Name extends MessageName>(
    name: Name,
    message: Request<Name>,
  ): Promise<Answer<Name> | "fenced" | undefined> => {
    for (let attempt = 1; !ending.aborted; attempt++) {
      // Between two sessions nothing is this worker's: the next one's first heartbeat says what runs.
      const { token } = session;
      if (!session.open || !token) {
        await sleep(NO_SESSION_MS, ending);
        continue;
      }
      try {
        return await controlPlane.post(name, message, token);
      } catch (error) {
        const { status, code } = asRefusal(error);
        // A session that another one of this worker has followed meanwhile may have left its jobs to that.
        const isClosed = code === "session_closed" && token === session.token;
        if (code === "fenced" || isClosed) return "fenced";
        if (status === 400 || status === 413 || status === 426) {
          log.error("not understood", { message: name, reason: reason(error) });
          return undefined;
        }
        log.warn("not heard", { message: name, attempt, reason: reason(error) });
        await sleep(Math.max(fullJitterMs(attempt, BACKOFF), retryAfterMs(error)), ending);
      }
    }
    return undefined;
  };

  let failures = 0;
  let ordersRefusedUntil = 0;
  return {
    async claim(freeSlots, signal): Promise<readonly Grant[]> {
      const refusedMs = freeSlots === 0 ? ordersRefusedUntil - performance.now() : 0;
      if (refusedMs > 0) await sleep(refusedMs, signal);
      const { token } = session;
      if (!token || signal.aborted) return [];
      const message = { claimId: randomUUID(), freeSlots, waitMs: PARK_MS };
      try {
        const answer = await controlPlane.post("claim", message, token, { timeoutMs: PARK_MS + ANSWER_MS, signal });
        failures = 0;
        orders.obey(answer.actions);
        if (answer.grants.length === 0) {
          await sleep(Math.max(answer.nextMs, answer.actions.length > 0 ? ORDERED_MS : 0), signal);
        }
        return answer.grants;
      } catch (error) {
        if (signal.aborted) return [];
        if (freeSlots === 0 && asRefusal(error).status === 400) {
          log.info("orders come with heartbeats only", { reason: reason(error) });
          ordersRefusedUntil = performance.now() + ORDERS_REFUSED_MS;
          return [];
        }
        log.warn("no answer to a claim", { reason: reason(error) });
        await sleep(Math.max(fullJitterMs(++failures, BACKOFF), retryAfterMs(error)), signal);
        return [];
      }
    },
    async started(ref) {
      if (!session.token) return 0;
      try {
        await controlPlane.post("started", ref, session.token);
        return "taken";
      } catch (error) {
        log.warn("start not confirmed", { ...ref, reason: reason(error) });
        return asRefusal(error).code === "fenced" ? "fenced" : retryAfterMs(error);
      }
    },
    async progress(ref, checkpoint, lastConfirmed) {
      const answer = await deliver("progress", {
        ...refOf(ref),
        checkpoint,
        ...(lastConfirmed === undefined ? {} : { gapPossible: { lastConfirmed } }),
      });
      return typeof answer === "object" ? answer.seq : answer;
    },
    report: async (ref, report) => {
      const answer = await deliver("report", { ...refOf(ref), ...report });
      if (answer !== undefined || ending.aborted) return takenBy(answer);
      // The job has ended all the same: without that it would be this worker's for ever.
      const { outcome, cleaned } = report;
      const bare = { outcome, error: NOT_UNDERSTOOD, logTail: [], ...(cleaned && { cleaned }) };
      return takenBy(await deliver("report", { ...refOf(ref), ...bare }));
    },
    release: async (ref, why, checkpoint) => {
      const release = (job: Request<"release">["jobs"][number]) => deliver("release", { reason: why, jobs: [job] });
      const answer = await release({ ...refOf(ref), ...(checkpoint && { checkpoint }) });
      if (answer !== undefined || ending.aborted || !checkpoint) return takenBy(answer);
      // The job is given back all the same: the next worker begins at the checkpoint before.
      return takenBy(await release(refOf(ref)));
    },
  };
}

const takenBy = (answer: object | "fenced" | undefined) => (typeof answer === "object" ? "taken" : answer);

function asRefusal(error: unknown): Pick<ControlPlaneError, "status" | "code"> {
  return error instanceof ControlPlaneError ? error : { status: 0, code: "" };
}
