import { type ControlPlaneClient, ControlPlaneError } from "../../../../agent/worker/control-plane-client";
import type * as coordinator from "../../../../control-plane/lease/coordinator";
import { nextBeatMs } from "../../../../control-plane/lease/next-beat";
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

/** As `worker-messages.ts` has it. */
const DRAIN: Action = { kind: "drain", mode: "handoff", deadlineMs: 600_000 };

const fenced = (name: MessageName) => new ControlPlaneError(`${name}: fenced`, 410, 0, "fenced");
const refused = (name: MessageName) => new ControlPlaneError(`${name}: token`, 401, 0, "token_invalid");
const closed = (name: MessageName) => new ControlPlaneError(`${name}: closed`, 410, 0, "session_closed");

/** The number of a checkpoint, and the claim under which its worker was told that it is kept. */
export interface Acked extends JobRef {
  readonly seq: number;
}

/** Told what agents have heard and may rely on, and what is given to a session. */
export interface Watch {
  acked(acked: Acked): void;
  granted(sessionId: string, ref: coordinator.Ref): void;
}

type Reply = (answer: object | ControlPlaneError) => void;

/** Answers the protocol's messages from the coordinator, as `control-plane/api` does from the store. */
export class Wire {
  private readonly checkpoints = new Map<string, Checkpoint>();
  /** Sessions by the tokens that are valid for them. */
  private readonly tokens = new Map<string, string>();
  private issued = 0;

  constructor(
    private readonly network: Network,
    private readonly timing: LeaseTiming,
    /** Jobs that end once their tables are copied. */
    private readonly copies: ReadonlySet<string>,
    private readonly watch: Watch,
  ) {}

  /** None of a session's tokens is valid any more. */
  revoke(sessionId: string): void {
    for (const [token, session] of this.tokens) if (session === sessionId) this.tokens.delete(token);
  }

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
            if (answer instanceof ControlPlaneError) return reject(answer);
            this.noteAcked(name, message, answer);
            resolve(answer);
          },
          unanswered,
        );
      });
    return { post: post as ControlPlaneClient["post"] };
  }

  private noteAcked(name: MessageName, message: never, answer: object): void {
    const note = (ref: JobRef, seq?: number) => seq !== undefined && this.watch.acked({ ...refOf(ref), seq });
    if (name === "progress") note(message, (answer as Answer<"progress">).seq);
    if (name === "report") note(message, (message as Request<"report">).checkpoint?.seq);
    if (name === "release") for (const job of (message as Request<"release">).jobs) note(job, job.checkpoint?.seq);
  }

  private handle(server: Server, machine: Machine, name: MessageName, message: never, token: string, reply: Reply) {
    if (name === "register") return reply(this.register(server, machine, message));
    const session = this.tokens.get(token);
    if (!session) return reply(refused(name));
    if (name !== "claim") return reply(this.answer(server, machine, name, message, session));
    const { claimId, freeSlots } = message as Request<"claim">;
    server.claim(claimId, session, freeSlots, (granted) => {
      if (granted === "session_closed") return reply(closed(name));
      for (const ref of granted) this.watch.granted(session, ref);
      const grants = granted.map((ref) => this.grant(server, ref));
      reply({ grants, nextMs: 1, actions: this.orders(server, machine, session) } satisfies Answer<"claim">);
    });
  }

  private register(server: Server, machine: Machine, { sessionId }: Request<"register">): object | ControlPlaneError {
    if (server.register(sessionId, machine.id) === "session_closed") return closed("register");
    const token = `${sessionId}/${this.issued++}`;
    this.tokens.set(token, sessionId);
    return { protocol: 1, token, progressMs: PROGRESS_MS, metricsMs: METRICS_MS };
  }

  private answer(
    server: Server,
    machine: Machine,
    name: Exclude<MessageName, "claim" | "register">,
    message: never,
    session: string,
  ): object | ControlPlaneError {
    const refusedOr = (told: coordinator.Told) => (told ? fenced(name) : {});
    const isHeld = ({ jobId, fence }: JobRef): boolean => {
      const job = server.jobs.get(jobId);
      return job?.session === session && job.fence === fence;
    };
    const { leftOut } = machine;
    switch (name) {
      case "heartbeat": {
        const { running, released, state } = message as Request<"heartbeat">;
        const heard = leftOut === "release report" ? [] : released;
        const orders = server.heartbeat(session, { running, released: heard, draining: state === "draining" });
        if (orders === "session_closed") return closed(name);
        const kills: Action[] = orders.kill.map((ref) => ({ kind: "stop", mode: "kill", ...refOf(ref) }));
        const actions = [
          ...(leftOut === "orders to kill" ? [] : kills),
          ...this.orders(server, machine, session, state === "draining"),
        ];
        if (state === "draining") server.drain(session, "said");
        const { world } = this.network;
        return {
          leaseMs: this.timing.workerLeaseMs,
          nextMs: nextBeatMs(this.timing.heartbeatMs, world.nowMs, () => world.between(0, 1)),
          actions,
        };
      }
      case "started":
        return server.started(session, message as JobRef) ? {} : fenced(name);
      case "progress": {
        const { checkpoint, ...ref } = message as Request<"progress">;
        return isHeld(ref) ? { seq: this.keep(ref.jobId, checkpoint) } : fenced(name);
      }
      case "report": {
        const { outcome, checkpoint, ...ref } = message as Request<"report">;
        if (isHeld(ref)) this.keepLast(machine, ref, checkpoint);
        const told = server.report(session, ref, outcome);
        if (!told) this.forgetWish(server, machine, ref);
        return refusedOr(told);
      }
      case "release": {
        const told = (message as Request<"release">).jobs.map(({ checkpoint, ...ref }) => {
          if (isHeld(ref)) this.keepLast(machine, ref, checkpoint);
          const told = server.release(session, ref);
          if (!told) this.forgetWish(server, machine, ref);
          return told;
        });
        return refusedOr(told.find((refused) => refused !== undefined));
      }
      case "deregister":
        server.deregister(session);
        return {};
      default:
        return {};
    }
  }

  /** As `worker-messages.ts` has them, for a heartbeat or a claim. */
  private orders(server: Server, { leftOut }: Machine, session: string, saysSo = false): Action[] {
    const stops = server.unwanted(session).map(([jobId, { fence, desired }]): Action => {
      return { kind: "stop", mode: desired === "delete" ? "cleanup" : "quiesce", jobId, fence };
    });
    const draining = server.draining.get(session);
    const drains = draining === "ordered" || (draining && !saysSo) ? [DRAIN] : [];
    return [...(leftOut === "orders to stop" ? [] : stops), ...(leftOut === "orders to drain" ? [] : drains)];
  }

  private keep(jobId: string, checkpoint: Checkpoint): number {
    const held = this.checkpoints.get(jobId);
    if (!held || held.seq < checkpoint.seq) this.checkpoints.set(jobId, checkpoint);
    return Math.max(held?.seq ?? -1, checkpoint.seq);
  }

  private keepLast({ leftOut }: Machine, { jobId }: JobRef, checkpoint: Checkpoint | undefined): void {
    if (checkpoint && leftOut !== "last checkpoint") this.keep(jobId, checkpoint);
  }

  private forgetWish(server: Server, { leftOut }: Machine, { jobId }: JobRef): void {
    const job = server.jobs.get(jobId);
    if (leftOut !== "wish at the end" || !job || job.desired === "run") return;
    server.jobs.set(jobId, { ...job, desired: "run", state: "pending" });
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
