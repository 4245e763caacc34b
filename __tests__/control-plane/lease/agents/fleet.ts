import { runAgent } from "../../../../agent/worker/agent";
import { daemonQuirks } from "../../../../agent/worker/daemon/quirks";
import type { Ref } from "../../../../control-plane/lease/coordinator";
import type { Job } from "../../../../control-plane/lease/job";
import { LeaseTiming } from "../../../../control-plane/lease/timing";
import { isAtRest, isEnded } from "../simulator/job-ledger";
import type { Mutant, OrderMutant } from "../simulator/mutants";
import { Network } from "../simulator/network";
import { Server } from "../simulator/server";
import { queuedJob } from "../simulator/simulate";
import type { World } from "../simulator/world";
import type { Daemon } from "./daemon";
import { injectFaults } from "./faults";
import { apiOn, hostOf } from "./host";
import { Operator } from "./operator";
import type { LeftOut } from "./rules";
import { endTurn } from "./virtual-process";
import { type Acked, Wire } from "./wire";
import { Worker } from "./worker";

/** Short leases, with no more room between worker and control plane than the arithmetic asks for. */
export const TIMING = LeaseTiming.parse({
  heartbeatMs: 1_500,
  workerLeaseMs: 5_000,
  serverLeaseMs: 7_700,
  killMs: 1_100,
  watchdogMs: 1_300,
  grantMs: 4_000,
  sweepMs: 300,
  claimWaitMs: 10_000,
});

const WORKERS = 3;
const JOBS = 4;
const DESCRIPTION = { agentVersion: "1.0.0", daemonVersion: "1.0.0", pool: "default", labels: {}, slots: 2 };
/** After a suspension: a guard's look, and systemd's patience. */
const WAKING_MS = 1_400;

const SERVER_MUTANTS: { readonly [Rule in LeftOut]?: Mutant | OrderMutant } = {
  margin: "no margin",
  "restart grace": "no restart grace",
  "fence of reports": "unfenced complete",
  "no work for the drained": "work for the drained",
  "lease of the gone": "gone while alive",
};

export interface Outcome {
  /** What ran twice, and where. */
  readonly overlaps: readonly string[];
  /** Jobs that, long after the last fault, have neither ended nor run under their holder's lease, nor rest as they are to. */
  readonly lost: readonly string[];
  /** Daemons that then run though the control plane knows nothing of it. */
  readonly strays: readonly string[];
  /** Ends, rests and wishes that did not last. */
  readonly overturned: number;
  /** What was done against an operator's order, or not done of one. */
  readonly unheeded: readonly string[];
  /** What began from a checkpoint before one that a worker had been told was kept. */
  readonly setBack: readonly string[];
  /** What an agent ended with; none may. */
  readonly failures: readonly string[];
  readonly starts: number;
  readonly ends: number;
  readonly lives: number;
  /** What happened, a line each. */
  readonly story: () => string;
}

/** Agents as they are shipped, on machines and over a network that fail until they are healed, before the coordinator. */
export class Fleet {
  readonly server: Server;
  readonly workers: readonly Worker[];
  private readonly network: Network;
  private readonly wire: Wire;
  private readonly operator: Operator;
  /** Asks the agents that live now to go. */
  private readonly stops = new Map<Worker, () => void>();
  /** Checkpoints that a worker was told are kept. */
  private readonly acked: Acked[] = [];
  private readonly overlaps: string[] = [];
  private readonly setBack: string[] = [];
  private readonly failures: string[] = [];
  private readonly story: [atMs: number, who: string, what: string, fields: object | undefined][] = [];
  private starts = 0;
  private lives = 0;
  private isHealed = false;

  /** @param leaveAfterMs how long an agent's life lasts, on average, until it is asked to go */
  constructor(
    readonly world: World,
    leftOut: LeftOut | undefined,
    private readonly leaveAfterMs = 60_000,
  ) {
    const mutant = leftOut && SERVER_MUTANTS[leftOut];
    const rules = mutant === "no margin" ? { ...TIMING, serverLeaseMs: TIMING.workerLeaseMs } : TIMING;
    this.server = new Server(world, rules, mutant);
    this.network = new Network(world, this.server, true);
    const ids = Array.from({ length: JOBS }, (_, index) => `00000000-0000-4000-8000-00000000000${index}`);
    for (const [index, id] of ids.entries()) {
      this.server.jobs.set(id, { ...queuedJob(index === JOBS - 1 ? "keep" : "stop"), maxRetries: 3 });
    }
    const acked = (one: Acked) => void this.acked.push(one);
    const granted = (sessionId: string, ref: Ref) => this.operator.granted(sessionId, ref);
    this.wire = new Wire(this.network, TIMING, new Set(ids.slice(0, 1)), { acked, granted });
    this.workers = Array.from({ length: WORKERS }, (_, index) => {
      const { clockRateError: error } = TIMING;
      const rate = 1 + world.between(-error, error);
      const id = `worker-${index}`;
      return new Worker({ world, id, rate, leftOut, tell: this.teller(id), spawned: (daemon) => this.spawned(daemon) });
    });
    const { workers, wire, server } = this;
    const restart = (worker: Worker): void => this.stops.get(worker)?.();
    this.operator = new Operator({ world, server, wire, workers, restart, tell: this.teller("operator") });
    for (const worker of workers) world.after(world.between(0, 1_000), () => this.startAgent(worker));
  }

  /** From now on whatever can go wrong does, until that time. */
  trouble(untilMs: number): void {
    const { world, server, workers } = this;
    for (const worker of workers) {
      const startAgent = () => this.startAgent(worker);
      injectFaults(worker, { untilMs, wakingMs: WAKING_MS, startAgent, awake: () => this.checkAwake(worker) });
    }
    const tell = this.teller("control plane");
    const restart = (): void => {
      const downMs = world.between(200, 8_000);
      tell("down", { downMs });
      server.restart(downMs);
    };
    world.repeat(15_000, restart, untilMs);
  }

  /** The same of an operator's orders. */
  order(untilMs: number): void {
    this.operator.begin(untilMs);
  }

  async run(untilMs: number): Promise<void> {
    while (this.world.step(untilMs)) await endTurn();
  }

  heal(): void {
    this.isHealed = true;
    this.network.heal();
    this.server.heal();
    for (const worker of this.workers) worker.cutOffUntilMs = this.world.nowMs;
    this.operator.end();
  }

  /** Whether anything is not yet as it is to be in the end. */
  unsettled(): boolean {
    return this.lost().length + this.strays().length + this.operator.unheeded().length > 0;
  }

  outcome(): Outcome {
    const { overlaps, setBack, failures, starts, lives, server, operator } = this;
    const { overturned, ends } = server.jobs;
    const unheeded = [...operator.disobeyed, ...operator.unheeded()];
    const left = { lost: this.lost(), strays: this.strays(), unheeded };
    return { overlaps, setBack, ...left, overturned, failures, starts, ends, lives, story: () => this.told() };
  }

  private startAgent(worker: Worker): void {
    if (worker.isAgentUp) return;
    worker.beginAgent();
    this.lives += 1;
    const { world } = this;
    const { life } = worker;
    worker.agentAfter(0, () => {
      const [stop, handOver] = [new AbortController(), new AbortController()];
      this.stops.set(worker, () => {
        if (life === worker.life) worker.agentAfter(0, () => stop.abort());
      });
      const ended = runAgent(
        {
          worker: { ...DESCRIPTION, workerId: worker.id },
          drain: { mode: "handoff", deadlineSeconds: 10 },
        },
        {
          log: {
            info: (message, fields) => worker.tell(message, fields),
            warn: (message, fields) => worker.tell(message, fields),
            error: (message, fields) => worker.tell(message, fields),
            redact: () => {},
          },
          controlPlane: this.wire.client(worker),
          deploymentToken: async () => "deployment",
          host: hostOf(worker),
          ports: worker.ports,
          quirks: daemonQuirks({ kind: "dbmazz", version: "2.4.0" }),
          api: (port) => apiOn(worker, port),
          holdLease: (lease) => worker.guard.holdLease(lease),
          notify: async () => {},
          watchdogPeriodMs: undefined,
          upgrades: undefined,
          cloud: undefined,
        },
        { stop: stop.signal, handOver: handOver.signal },
      );
      // It is asked to go now and then: for an upgrade, or to be stopped and started again.
      worker.agentAfter(world.exponential(this.leaveAfterMs), () => {
        if (!this.isHealed) (world.chance(0.7) ? handOver : stop).abort();
      });
      void ended.then(
        () => {
          if (life === worker.life) worker.endAgent();
          world.after(world.between(100, 2_000), () => this.startAgent(worker));
        },
        (error) => void this.failures.push(String(error)),
      );
    });
  }

  private spawned(daemon: Daemon): void {
    this.starts += 1;
    this.operator.began(daemon);
    const { jobId, fence, seq, snapshotOnly } = daemon.record;
    this.checkAlone(jobId);
    const isBefore = (one: Acked): boolean => one.jobId === jobId && one.fence < fence;
    const acked = Math.max(-1, ...this.acked.filter(isBefore).map((one) => one.seq));
    if (seq < acked) this.setBack.push(`${jobId} (fence ${fence}) began from checkpoint ${seq}, and ${acked} was kept`);
    const { world } = this;
    world.after(world.exponential(snapshotOnly ? 20_000 : 60_000), () => {
      const isCopy = snapshotOnly && world.chance(0.7);
      if (!daemon.machine.isFrozen && !this.isHealed) daemon.exit({ status: isCopy ? 0 : 1, signal: null });
    });
  }

  /** A machine that has just gone on may not have had the time to end what ran on it. */
  private checkAwake(worker: Worker): void {
    for (const { record } of worker.daemons) this.checkAlone(record.jobId);
  }

  private checkAlone(jobId: string): void {
    const alive = this.daemons().filter(({ record }) => record.jobId === jobId);
    if (alive.length < 2) return;
    const where = alive.map(({ machine, record }) => `${machine.id} (fence ${record.fence})`).join(" and ");
    this.overlaps.push(`${jobId} ran on ${where} after ${Math.round(this.world.nowMs)} ms`);
  }

  private daemons(): Daemon[] {
    return this.workers.flatMap((worker) => [...worker.daemons].filter(({ isFrozenOrWaking }) => !isFrozenOrWaking));
  }

  private lost(): string[] {
    const isWhereItBelongs = (jobId: string, job: Job): boolean =>
      isEnded(job) || isAtRest(job) || this.runs(jobId, job);
    return [...this.server.jobs].flatMap(([jobId, job]) => (isWhereItBelongs(jobId, job) ? [] : jobId));
  }

  private strays(): string[] {
    const isKnown = ({ record: { jobId, fence } }: Daemon): boolean => {
      const job = this.server.jobs.get(jobId);
      return job?.session !== null && job?.fence === fence;
    };
    const strays = this.workers.flatMap(({ daemons }) => [...daemons]).filter((daemon) => !isKnown(daemon));
    return strays.map(({ record, machine }) => `${record.jobId} (fence ${record.fence}) on ${machine.id}`);
  }

  private teller(who: string): Worker["tell"] {
    return (what, fields) => this.story.push([this.world.nowMs, who, what, fields]);
  }

  private told(): string {
    const seconds = (atMs: number) => (atMs / 1_000).toFixed(3).padStart(8);
    return this.story
      .map(([atMs, who, what, fields]) => `${seconds(atMs)} ${who}: ${what} ${JSON.stringify(fields ?? {})}\n`)
      .join("");
  }

  private runs(jobId: string, { session, fence, state }: Job): boolean {
    const lease = session === null ? undefined : this.server.state.sessions.get(session);
    if (!lease || lease.expiresAtMs <= this.world.nowMs || state !== "running") return false;
    return this.daemons().some(({ record }) => record.jobId === jobId && record.fence === fence);
  }
}
