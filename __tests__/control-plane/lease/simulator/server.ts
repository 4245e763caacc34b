import * as coordinator from "../../../../control-plane/lease/coordinator";
import type { Desired, Job, JobEvent } from "../../../../control-plane/lease/job";
import type { LeaseTiming } from "../../../../control-plane/lease/timing";
import { isEnded, JobLedger } from "./job-ledger";
import type { Mutant, OrderMutant } from "./mutants";
import type { World } from "./world";

/** Renewals may be lost when the database fails over to a replica that lags this far. */
const REPLICA_LAG_MS = 15_000;

interface ParkedClaim {
  readonly sessionId: string;
  readonly slots: number;
  readonly answer: (grants: coordinator.Ref[] | coordinator.Closed) => void;
}

/** The coordinator behind parked claims, with restarts that lose the last renewals. */
export class Server {
  readonly jobs = new JobLedger();
  readonly state: coordinator.Coordinator;
  upAtMs = 0;
  /** Sessions that are to hand over what they hold, and are given nothing. */
  readonly draining = new Map<string, "ordered" | "said">();
  private parked: ParkedClaim[] = [];
  private readonly answered = new Map<string, coordinator.Ref[] | coordinator.Closed>();
  private renewals = new Map<string, number>();

  constructor(
    private readonly world: World,
    timing: LeaseTiming,
    private readonly mutant: Mutant | OrderMutant | undefined,
  ) {
    this.state = { ...coordinator.newCoordinator(timing, 0), jobs: this.jobs };
    this.every(timing.sweepMs, () => this.sweep());
    this.every(REPLICA_LAG_MS, () => this.replicate());
  }

  get up(): boolean {
    return this.world.nowMs >= this.upAtMs;
  }

  restart(downMs: number): void {
    this.upAtMs = this.world.nowMs + downMs;
    this.parked = [];
    for (const [id, session] of this.state.sessions) {
      const expiresAtMs = this.renewals.get(id) ?? session.expiresAtMs;
      this.state.sessions.set(id, { ...session, expiresAtMs });
    }
    this.state.upSinceMs = this.mutant === "no restart grace" ? Number.NEGATIVE_INFINITY : this.upAtMs;
  }

  /** Ends a restart that is under way. */
  heal(): void {
    if (this.up) return;
    this.upAtMs = this.world.nowMs;
    this.state.upSinceMs = Math.min(this.state.upSinceMs, this.upAtMs);
  }

  register(sessionId: string, workerId: string): "registered" | coordinator.Closed {
    return coordinator.register(this.state, sessionId, workerId);
  }

  heartbeat(sessionId: string, beat: coordinator.Beat): coordinator.Orders | coordinator.Closed {
    const orders = coordinator.heartbeat(this.state, this.world.nowMs, sessionId, beat);
    this.wake();
    return orders;
  }

  claim(claimId: string, sessionId: string, slots: number, answer: ParkedClaim["answer"]): void {
    const known = this.answered.get(claimId);
    if (known) {
      answer(known);
      return;
    }
    const claim: ParkedClaim = {
      sessionId,
      slots,
      answer: (grants) => {
        this.answered.set(claimId, grants);
        this.world.after(120_000, () => this.answered.delete(claimId));
        answer(grants);
      },
    };
    this.parked.push(claim);
    this.wake();
    this.touch(sessionId);
    this.world.after(this.state.timing.claimWaitMs, () => {
      if (this.parked.includes(claim)) this.answer(claim, []);
    });
  }

  started(sessionId: string, ref: coordinator.Ref): boolean {
    const by = { session: sessionId, fence: ref.fence };
    return coordinator.started(this.state, this.world.nowMs, by, ref.jobId) === "started";
  }

  report(sessionId: string, ref: coordinator.Ref, outcome: "completed" | "stopped" | "failed"): coordinator.Told {
    let by = { session: sessionId, fence: ref.fence };
    const job = this.state.jobs.get(ref.jobId);
    if (this.mutant === "unfenced complete" && job?.session) by = { session: job.session, fence: job.fence };
    if (this.mutant === "late report overturns" && job && isEnded(job)) {
      this.jobs.set(ref.jobId, { ...job, state: "pending" });
    }
    return this.tell(ref.jobId, { type: "report", by, outcome });
  }

  release(sessionId: string, ref: coordinator.Ref): coordinator.Told {
    return this.tell(ref.jobId, { type: "release", by: { session: sessionId, fence: ref.fence } });
  }

  deregister(sessionId: string): void {
    coordinator.deregister(this.state, sessionId);
    this.wake();
  }

  /** The operator wants ended jobs to run again. */
  runEndedAgain(): void {
    for (const [jobId, job] of this.jobs) {
      if (isEnded(job)) this.jobs.byOperator(() => coordinator.tell(this.state, jobId, { type: "run" }));
    }
    this.wake();
  }

  /** What an operator wants of a job, told to its holder at once where that has a claim parked. */
  wish(jobId: string, desired: Desired): coordinator.Told {
    const refused = this.jobs.byOperator(() => coordinator.tell(this.state, jobId, { type: desired }));
    const session = this.jobs.get(jobId)?.session;
    if (session) this.touch(session);
    else this.wake();
    return refused;
  }

  /** A session is to be given nothing more; by an operator's order also to be told so, whatever it says of itself. */
  drain(sessionId: string, by: "ordered" | "said"): void {
    if (this.draining.get(sessionId) !== "ordered") this.draining.set(sessionId, by);
    if (by === "ordered") this.touch(sessionId);
  }

  /** An operator says that a session's worker is gone. Not believed while its lease is valid, or may be for all that is known. */
  declareGone(sessionId: string): boolean {
    const session = this.state.sessions.get(sessionId);
    const { nowMs } = this.world;
    const isUnjudged = nowMs - this.state.upSinceMs < this.state.timing.serverLeaseMs;
    const mayBeAlive = isUnjudged || !session || session.expiresAtMs > nowMs;
    if (session?.state !== "open" || (mayBeAlive && this.mutant !== "gone while alive")) return false;
    this.deregister(sessionId);
    return true;
  }

  /** Something may be owed to a session: then a parked claim of its is answered with nothing but that. */
  touch(sessionId: string): void {
    for (const claim of this.parked.filter((one) => one.sessionId === sessionId)) {
      if (this.owes(sessionId)) this.answer(claim, []);
    }
  }

  /** Jobs that a session runs and the operator wants at rest. */
  unwanted(sessionId: string): [jobId: string, job: Job][] {
    return [...this.jobs].filter(
      ([, { session, state, desired }]) => session === sessionId && state === "running" && desired !== "run",
    );
  }

  private owes(sessionId: string): boolean {
    return this.draining.has(sessionId) || this.unwanted(sessionId).length > 0;
  }

  private sweep(): void {
    if (!this.up) return;
    const moved = coordinator.sweep(this.state, this.world.nowMs);
    if (this.mutant === "forgotten requeue") {
      for (const jobId of moved) this.jobs.set(jobId, { ...(this.jobs.get(jobId) as Job), state: "starting" });
    }
    if (moved.length > 0) this.wake();
  }

  private tell(jobId: string, event: JobEvent): coordinator.Told {
    const refused = coordinator.tell(this.state, jobId, event);
    this.wake();
    return refused;
  }

  private wake(): void {
    for (const claim of this.parked) {
      if (!this.anyPending()) return;
      if (this.draining.has(claim.sessionId) && this.mutant !== "work for the drained") continue;
      const grants = coordinator.claim(this.state, this.world.nowMs, claim.sessionId, claim.slots);
      if (grants.length > 0) this.answer(claim, grants);
    }
  }

  private anyPending(): boolean {
    for (const { state } of this.state.jobs.values()) if (state === "pending") return true;
    return false;
  }

  private answer(claim: ParkedClaim, grants: coordinator.Ref[] | coordinator.Closed): void {
    this.parked = this.parked.filter((other) => other !== claim);
    claim.answer(grants);
  }

  private replicate(): void {
    const open = [...this.state.sessions.values()].filter(({ state }) => state === "open");
    this.renewals = new Map(open.map(({ id, expiresAtMs }) => [id, expiresAtMs]));
    for (const { id, state } of this.state.sessions.values()) if (state === "closed") this.state.sessions.delete(id);
  }

  private every(periodMs: number, happen: () => void): void {
    this.world.after(periodMs, () => {
      happen();
      this.every(periodMs, happen);
    });
  }
}
