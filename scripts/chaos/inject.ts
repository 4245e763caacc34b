import { setTimeout as pause } from "node:timers/promises";
import type { FrozenDaemon } from "./check/fencing";
import { slotOf } from "./check/slots";
import type { ChaosFleet } from "./fleet";
import { agentAs } from "./releases";
import type { Fault, Link, ServerName, Step } from "./schedule";
import { until } from "./until";
import { signal } from "./worker";

/** A worker that is silent loses its jobs after the server's lease; the margin is for a slow machine and other faults at the same time. */
const JOBS_MOVE_WITHIN_MS = 90_000;
const DRAINS_WITHIN_MS = 60_000;
/** Beyond the time after which the control plane itself gives an upgrade up. */
const UPGRADE_DEADLINE_MS = 60_000;
const UPGRADES_WITHIN_MS = 120_000;

/** What came of a fault. */
export type Outcome =
  | "done"
  | "target is under another fault"
  | "target is not running"
  | "held to the deadline"
  | "the old version serves on";

/** Does what the schedule says to a fleet. One target is under one fault at a time. */
export class Injector {
  private readonly targets = new Set<string>();
  private readonly underWay = new Set<Promise<unknown>>();
  private upgrades = 0;
  /** Daemons that stood still together with their whole machine. */
  readonly frozen: FrozenDaemon[] = [];

  constructor(
    private readonly fleet: ChaosFleet,
    private readonly over: AbortSignal,
  ) {}

  /** Resolves when the fault is over, and what it stopped goes on again. */
  inject({ fault, holdMs }: Step): Promise<Outcome> {
    const targets = targetsOf(fault);
    if (targets.some((target) => this.targets.has(target))) return Promise.resolve("target is under another fault");
    for (const target of targets) this.targets.add(target);
    const work = this.apply(fault, holdMs).finally(() => {
      for (const target of targets) this.targets.delete(target);
      this.underWay.delete(work);
    });
    this.underWay.add(work);
    return work;
  }

  /** Waits until no fault is under way. */
  async healed(): Promise<void> {
    await Promise.allSettled(this.underWay);
  }

  private async apply(fault: Fault, holdMs: number): Promise<Outcome> {
    const { fleet } = this;
    switch (fault.kind) {
      case "kill-agent":
        return ended(this.worker(fault.worker).agent, "SIGKILL");
      case "hand-over-agent":
        return ended(this.worker(fault.worker).agent, "SIGHUP");
      case "roll-agent":
        return ended(this.worker(fault.worker).agent, "SIGTERM");
      case "drain-worker":
        return await this.drain(fault.worker);
      case "kill-daemon":
        return this.killDaemon(fault.job);
      case "freeze-daemon":
        return await this.freeze(this.daemon(fault.job), () => this.hold(holdMs));
      case "kill-control-plane":
        return ended(this.copy(fault.copy), "SIGKILL");
      case "roll-control-plane":
        return ended(this.copy(fault.copy), "SIGTERM");
      case "close-connections":
        return await this.closeConnections(fault.server);
      case "crash-backend":
        return await this.crashBackend(fault.server);
      case "freeze-agent": {
        const { pid } = this.worker(fault.worker).agent;
        return await this.freeze(pid === undefined ? [] : [pid], () => this.jobsMoved(fault.worker));
      }
      case "freeze-machine":
        return await this.freezeMachine(fault.worker);
      case "isolate-worker":
        return await this.cut(
          fleet.copies.map((_, copy): Link => ({ from: "worker", worker: fault.worker, to: "control-plane", copy })),
          () => this.jobsMoved(fault.worker),
        );
      case "cut":
        return await this.cut([fault.link], () => this.hold(holdMs));
      case "upgrade-agents":
        return await this.upgradeAgents();
    }
  }

  private async drain(number: number): Promise<Outcome> {
    const worker = this.worker(number);
    try {
      if (!(await this.fleet.operator.drain(worker.name))) return "target is not running";
      await until(`${worker.name} has no daemon`, DRAINS_WITHIN_MS, async () =>
        worker.daemons().length === 0 || this.over.aborted ? true : undefined,
      );
    } catch {
      worker.agent.signal("SIGTERM");
      return "held to the deadline";
    }
    // A drained worker takes no work: its next life does.
    return ended(worker.agent, "SIGTERM");
  }

  private async upgradeAgents(): Promise<Outcome> {
    const { operator, releases, size } = this.fleet;
    this.upgrades += 1;
    const version = `1.0.${this.upgrades}`;
    const release = releases.offer("agent", version, agentAs(version));
    const id = await operator.upgrade({
      ...release,
      waveSize: size.workers,
      soakMs: 0,
      deadlineMs: UPGRADE_DEADLINE_MS,
    });
    try {
      const state = await until("the upgrade has ended", UPGRADES_WITHIN_MS, async () => {
        const now = await operator.upgradeState(id).catch(() => undefined);
        return this.over.aborted || now !== "running" ? now : undefined;
      });
      return state === "failed" ? "the old version serves on" : "done";
    } catch {
      await operator.abortUpgrade(id);
      return "held to the deadline";
    }
  }

  private killDaemon(job: number): Outcome {
    const pids = this.daemon(job);
    for (const pid of pids) signal(pid, "SIGKILL");
    return pids.length > 0 ? "done" : "target is not running";
  }

  /** @throws Error when the system does not say what the worker runs; nothing of it stands still then. */
  private async freezeMachine(number: number): Promise<Outcome> {
    const worker = this.worker(number);
    if (worker.agent.pid === undefined) return "target is not running";
    const stopped = new Set<number>();
    try {
      // What is started while it is being frozen is found by the second look.
      for (let look = 0; look < 2; look++) {
        for (const pid of worker.everything()) {
          stopped.add(pid);
          signal(pid, "SIGSTOP");
        }
      }
      if (stopped.size === 0) return "target is not running";
      this.frozen.push(...worker.daemons().map(({ jobId, fence }) => ({ slot: slotOf(jobId), fence: BigInt(fence) })));
      return await this.jobsMoved(number);
    } finally {
      for (const pid of stopped) signal(pid, "SIGCONT");
    }
  }

  private async freeze(pids: readonly number[], hold: () => Promise<Outcome>): Promise<Outcome> {
    if (pids.length === 0) return "target is not running";
    for (const pid of pids) signal(pid, "SIGSTOP");
    try {
      return await hold();
    } finally {
      for (const pid of pids) signal(pid, "SIGCONT");
    }
  }

  private async cut(links: readonly Link[], hold: () => Promise<Outcome>): Promise<Outcome> {
    const heals = links.map((link) => this.fleet.cut(link));
    try {
      return await hold();
    } finally {
      for (const heal of heals) heal();
    }
  }

  private async closeConnections(server: ServerName): Promise<Outcome> {
    await this.fleet.databases[server].pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name <> 'chaos' and backend_type in ('client backend', 'walsender')",
    );
    return "done";
  }

  /** kill -9 of one backend: PostgreSQL ends all others, recovers, and starts again. */
  private async crashBackend(server: ServerName): Promise<Outcome> {
    const { rows } = await this.fleet.databases[server].pool.query<{ pid: number }>(
      "select pid from pg_stat_activity where application_name <> 'chaos' and backend_type in ('client backend', 'walsender') limit 1",
    );
    const [backend] = rows;
    if (!backend) return "target is not running";
    signal(backend.pid, "SIGKILL");
    return "done";
  }

  private async hold(ms: number): Promise<Outcome> {
    await pause(ms, undefined, { signal: this.over }).catch(() => undefined);
    return "done";
  }

  /** Until the control plane has given all of the worker's jobs to others, so that the lease is certainly over. */
  private async jobsMoved(number: number): Promise<Outcome> {
    const { name } = this.worker(number);
    return await until(`${name} has lost its jobs`, JOBS_MOVE_WITHIN_MS, async () =>
      this.over.aborted || (await this.fleet.operator.jobs()).every(({ workerId }) => workerId !== name)
        ? ("done" as const)
        : undefined,
    ).catch(() => "held to the deadline" as const);
  }

  private daemon(job: number): readonly number[] {
    const { workers, jobIds } = this.fleet;
    const found = workers.flatMap((worker) => worker.daemons()).filter(({ jobId }) => jobId === jobIds[job]);
    return found.map(({ pid }) => pid);
  }

  private worker(number: number) {
    const worker = this.fleet.workers[number];
    if (!worker) throw new Error(`there is no worker ${number}`);
    return worker;
  }

  private copy(number: number) {
    const copy = this.fleet.copies[number];
    if (!copy) throw new Error(`there is no copy ${number} of the control plane`);
    return copy.program;
  }
}

function ended(
  program: { readonly pid: number | undefined; signal(name: NodeJS.Signals): void },
  name: NodeJS.Signals,
): Outcome {
  if (program.pid === undefined) return "target is not running";
  program.signal(name);
  return "done";
}

/** What must not be under two faults at a time. A cut is between two that may both be under another fault. */
function targetsOf(fault: Fault): readonly string[] {
  if ("worker" in fault) return [`worker ${fault.worker}`];
  if ("copy" in fault) return [`copy ${fault.copy}`];
  if ("job" in fault) return [`job ${fault.job}`];
  if ("server" in fault) return [`server ${fault.server}`];
  return "link" in fault ? [`link ${JSON.stringify(fault.link)}`] : [fault.kind];
}
