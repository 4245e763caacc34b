import { type ControlPlaneClient, ControlPlaneError } from "../../../../agent/worker/control-plane-client";
import type * as coordinator from "../../../../control-plane/lease/coordinator";
import { grantLastsMs, type LeaseTiming } from "../../../../control-plane/lease/timing";
import type {
  Action,
  Answer,
  Checkpoint,
  Grant,
  JobRef,
  MessageName,
  Request,
} from "../../../../control-plane/protocol";
import { grantOf } from "../../../agent/worker/jobs/supervised";
import type { Network } from "../simulator/network";
import type { Server } from "../simulator/server";
import type { Machine } from "./machine";

/** As `controlPlaneClient` has it. */
const TIMEOUT_MS = 10_000;
const PROGRESS_MS = 4_000;
const METRICS_MS = 15_000;

const fenced = (name: MessageName) => new ControlPlaneError(`${name}: fenced`, 410, 0, "fenced");
const closed = (name: MessageName) => new ControlPlaneError(`${name}: closed`, 410, 0, "session_closed");

type Reply = (answer: object | ControlPlaneError) => void;

/** Answers the protocol's messages from the coordinator, as `control-plane/api` does from the store. */
export class Wire {
  private readonly checkpoints = new Map<string, Checkpoint>();

  constructor(
    private readonly network: Network,
    private readonly timing: LeaseTiming,
    /** Jobs that end once their tables are copied. */
    private readonly copies: ReadonlySet<string>,
  ) {}

  /** The client of an agent's life: one attempt that may never be answered, be answered late, or be answered though it gave up. */
  client(machine: Machine): ControlPlaneClient {
    const post = (
      name: MessageName,
      message: never,
      token: string,
      { timeoutMs = TIMEOUT_MS, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
    ): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const unanswered = () => {
          over();
          reject(new ControlPlaneError(`${name}: no answer`, 0, 0, ""));
        };
        const timer = setTimeout(unanswered, timeoutMs);
        const over = () => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", unanswered);
        };
        signal?.addEventListener("abort", unanswered);
        this.network.askParked(
          machine,
          (server, reply: Reply) => this.handle(server, machine, name, message, token, reply),
          (answer) => {
            over();
            if (answer instanceof ControlPlaneError) reject(answer);
            else resolve(answer);
          },
        );
      });
    return { post: post as ControlPlaneClient["post"] };
  }

  private handle(server: Server, machine: Machine, name: MessageName, message: never, token: string, reply: Reply) {
    if (name !== "claim") return reply(this.answer(server, machine, name, message, token));
    const { claimId, freeSlots } = message as Request<"claim">;
    server.claim(claimId, token, freeSlots, (granted) => {
      if (granted === "session_closed") return reply(closed(name));
      const grants = granted.map((ref) => this.grant(server, ref));
      reply({ grants, nextMs: 1, actions: [] } satisfies Answer<"claim">);
    });
  }

  private answer(
    server: Server,
    machine: Machine,
    name: Exclude<MessageName, "claim">,
    message: never,
    session: string,
  ): object | ControlPlaneError {
    const refusedOr = (told: coordinator.Told) => (told ? fenced(name) : {});
    switch (name) {
      case "register": {
        const { sessionId } = message as Request<"register">;
        if (server.register(sessionId, machine.id) === "session_closed") return closed(name);
        return { protocol: 1, token: sessionId, progressMs: PROGRESS_MS, metricsMs: METRICS_MS };
      }
      case "heartbeat": {
        const { running, released, state } = message as Request<"heartbeat">;
        const { leftOut } = machine;
        const heard = leftOut === "release report" ? [] : released;
        const orders = server.heartbeat(session, { running, released: heard, draining: state === "draining" });
        if (orders === "session_closed") return closed(name);
        const actions: Action[] = orders.kill.map((ref) => ({ kind: "stop", mode: "kill", ...refOf(ref) }));
        return {
          leaseMs: this.timing.workerLeaseMs,
          nextMs: this.timing.heartbeatMs * this.network.world.between(0.8, 1.2),
          actions: leftOut === "orders to kill" ? [] : actions,
        };
      }
      case "started":
        return server.started(session, message as JobRef) ? {} : fenced(name);
      case "progress": {
        const { checkpoint, ...ref } = message as Request<"progress">;
        const job = server.jobs.get(ref.jobId);
        if (job?.session !== session || job.fence !== ref.fence) return fenced(name);
        return { seq: this.keep(ref.jobId, checkpoint) };
      }
      case "report": {
        const { outcome, ...ref } = message as Request<"report">;
        return refusedOr(server.report(session, ref, outcome));
      }
      case "release": {
        const told = (message as Request<"release">).jobs.map((ref) => server.release(session, ref));
        return refusedOr(told.find((refused) => refused !== undefined));
      }
      case "deregister":
        server.deregister(session);
        return {};
      default:
        return {};
    }
  }

  private keep(jobId: string, checkpoint: Checkpoint): number {
    const held = this.checkpoints.get(jobId);
    if (!held || held.seq < checkpoint.seq) this.checkpoints.set(jobId, checkpoint);
    return Math.max(held?.seq ?? -1, checkpoint.seq);
  }

  private grant(server: Server, { jobId, fence }: coordinator.Ref): Grant {
    const onDisconnect = server.jobs.get(jobId)?.onDisconnect ?? "stop";
    const options: Record<string, string> = { FLUSH_INTERVAL_MS: "50" };
    if (this.copies.has(jobId)) options["INITIAL_SNAPSHOT_ONLY"] = "true";
    const deadlineMs = grantLastsMs(this.timing);
    const resume = this.checkpoints.get(jobId) ?? null;
    return grantOf({ jobId, fence, deadlineMs, resume, spec: { onDisconnect, options } });
  }
}

const refOf = ({ jobId, fence }: JobRef): JobRef => ({ jobId, fence });
