import type { Ref } from "../../../../control-plane/lease/coordinator";
import type { Desired, Job } from "../../../../control-plane/lease/job";
import { isEnded } from "../simulator/job-ledger";
import type { Server } from "../simulator/server";
import type { World } from "../simulator/world";
import type { Daemon } from "./daemon";
import type { Wire } from "./wire";
import type { Worker } from "./worker";

const LOOK_MS = 500;

export interface OperatorProps {
  readonly world: World;
  readonly server: Server;
  readonly wire: Pick<Wire, "revoke">;
  readonly workers: readonly Worker[];
  /** Asks an agent to go, and starts it again. */
  readonly restart: (worker: Worker) => void;
  readonly tell: (what: string, fields?: object) => void;
}

/** Orders jobs and workers about as the operator's API lets it, and watches that what is ordered is done. */
export class Operator {
  /** What was done against an order. */
  readonly disobeyed: string[] = [];
  /** Jobs that are wanted at rest, and the newest claim of each when it was last asked for. */
  private readonly rests = new Map<string, number>();
  /** Sessions that are to hand over what they run, and the newest claim of each job then. */
  private readonly drains = new Map<string, ReadonlyMap<string, number>>();

  constructor(private readonly props: OperatorProps) {}

  /** Gives an order of each kind once in so many milliseconds on average; what the control plane is asked while it is down is not asked again. */
  begin(untilMs: number): void {
    const { world, server, workers } = this.props;
    const onceIn = (meanMs: number, order: () => void): void =>
      world.repeat(meanMs, () => server.up && order(), untilMs);
    onceIn(5_000, () => {
      const [jobId, job] = world.pick([...server.jobs]);
      this.wish(jobId, this.somethingElse(job));
    });
    onceIn(20_000, () => this.drain(world.pick(workers)));
    onceIn(40_000, () => this.revoke(world.pick(workers)));
    onceIn(5_000, () => this.declareGone(world.pick(workers)));
  }

  /** Half of what is at rest is to run again; the rest stays as it is. */
  end(): void {
    const { world, server } = this.props;
    for (const [jobId, { desired }] of server.jobs) {
      if (desired !== "run" && desired !== "delete" && world.chance(0.5)) this.wish(jobId, "run");
    }
  }

  granted(sessionId: string, { jobId, fence }: Ref): void {
    const before = this.drains.get(sessionId)?.get(jobId);
    if (before !== undefined && fence > before) this.disobeyed.push(`${jobId} was given to a worker that is to drain`);
  }

  began({ record: { jobId, fence }, machine: { id } }: Daemon): void {
    const before = this.rests.get(jobId);
    if (before !== undefined && fence > before) this.disobeyed.push(`${jobId} began on ${id} though it is to rest`);
  }

  /** Orders that are not carried out yet. */
  unheeded(): string[] {
    const { jobs } = this.props.server;
    return [...jobs].flatMap(([jobId, { session, desired }]) => {
      if (session === null) return [];
      if (desired !== "run") return `${jobId} is held, and is to ${desired}`;
      return this.drains.has(session) ? `${jobId} is held by a worker that is to drain` : [];
    });
  }

  private somethingElse(job: Job): Desired {
    const { world } = this.props;
    if (isEnded(job) || (job.desired !== "run" && world.chance(0.7))) return "run";
    return world.chance(0.03) ? "delete" : world.pick(["pause", "stop"]);
  }

  private wish(jobId: string, desired: Desired): void {
    const { server, tell } = this.props;
    const refused = server.wish(jobId, desired);
    tell("wishes", { jobId, desired, refused });
    const job = server.jobs.get(jobId);
    if (refused || !job) return;
    if (desired === "run") this.rests.delete(jobId);
    else this.rests.set(jobId, job.fence);
  }

  private drain(worker: Worker): void {
    const { server, tell, restart } = this.props;
    const sessionId = this.sessionOf(worker);
    if (!sessionId) return;
    tell("drains", { worker: worker.id });
    this.drains.set(sessionId, new Map([...server.jobs].map(([jobId, { fence }]) => [jobId, fence])));
    server.drain(sessionId, "ordered");
    const { life } = worker;
    const look = (): void => {
      if (worker.life !== life) return;
      if ([...server.jobs.values()].some(({ session }) => session === sessionId)) worker.world.after(LOOK_MS, look);
      else restart(worker);
    };
    look();
  }

  private revoke(worker: Worker): void {
    const sessionId = this.sessionOf(worker);
    if (!sessionId) return;
    this.props.tell("revokes", { worker: worker.id });
    this.props.wire.revoke(sessionId);
    this.props.server.touch(sessionId);
  }

  /** Whoever is silent seems gone. Of a daemon that is kept somebody has made sure: nothing ends it with the lease. */
  private declareGone(worker: Worker): void {
    const { server, tell } = this.props;
    const sessionId = this.sessionOf(worker);
    const mayBeKept =
      worker.guard.isStarting || [...worker.daemons].some(({ record }) => record.onDisconnect === "keep");
    if (!sessionId || mayBeKept) return;
    if (server.declareGone(sessionId)) tell("calls gone", { worker: worker.id });
  }

  private sessionOf({ id }: Worker): string | undefined {
    const sessions = [...this.props.server.state.sessions.values()];
    return sessions.find(({ workerId, state }) => workerId === id && state === "open")?.id;
  }
}
