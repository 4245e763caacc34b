import { type Log, reason } from "../host/log";
import { Nap } from "../host/nap";
import type { notifySystemd } from "../host/systemd";
import { withDeadline } from "../host/waiting";
import { signOfLife, trackProgress } from "../host/watchdog";
import type { AgentView, Cloud } from "./cloud";
import { connectionTests } from "./connection-test/connection-tests";
import { controlPlaneSource } from "./control-plane-source";
import type { DaemonApi } from "./daemon/daemon-api";
import type { DaemonHost } from "./daemon/daemon-host";
import type { PortPool } from "./daemon/free-port";
import type { DaemonQuirks } from "./daemon/quirks";
import { type Drain, type DrainMode, type DrainSource, quiesceAt, tightened } from "./drain";
import type { StopOrder } from "./jobs/job";
import type { JobSource } from "./jobs/job-source";
import { JobSupervisor } from "./jobs/job-supervisor";
import { type HandedLease, LeaseKeeper } from "./lease-keeper";
import { type Orders, ordersTo } from "./orders";
import { pushMetrics } from "./push-metrics";
import { keepSession, type SessionPorts, type SessionState, type SessionWork, type WorkerDescription } from "./session";
import type { UpgradePorts, Upgrades } from "./upgrade/upgrades";

export interface AgentProps {
  readonly worker: Omit<WorkerDescription, "features">;
  readonly drain: { readonly mode: DrainMode; readonly deadlineSeconds: number };
  /** A job that runs for longer is let go, to run elsewhere. @default - as long as it takes */
  readonly maxJobAgeMs?: number;
}

/** How messages get to whoever has the jobs. */
export type WayOut = Pick<SessionPorts, "controlPlane" | "sendHeartbeats">;

export interface AgentPorts extends WayOut, Pick<SessionPorts, "deploymentToken"> {
  readonly log: Log;
  readonly host: DaemonHost;
  readonly ports: Pick<PortPool, "take" | "keep" | "putBack">;
  readonly quirks: DaemonQuirks;
  readonly api: (port: number) => DaemonApi;
  /** Hands the lease to what ends the daemons when the agent cannot. */
  readonly holdLease: (lease: HandedLease) => void;
  readonly notify: typeof notifySystemd;
  /** How often systemd expects a sign of life; undefined if it does not. */
  readonly watchdogPeriodMs: number | undefined;
  /** Resolves with true as soon as the machine is turned off; asked once the agent was told to stop. @default - nobody knows */
  readonly machineStops?: (signal: AbortSignal) => Promise<boolean>;
  /** Makes what upgrades the worker's programs. @default - they are not upgraded */
  readonly upgrades?: ((ports: UpgradePorts) => Upgrades) | undefined;
  /** EC2 and Auto Scaling around the worker; undefined on a machine of one's own. */
  readonly cloud: Cloud | undefined;
}

/** How an agent is asked to end. */
export interface AgentSignals {
  /** Lets every job go, then says goodbye. */
  readonly stop: AbortSignal;
  /** Ends at once and leaves the daemons running, for another life of the agent. */
  readonly handOver: AbortSignal;
}

/** Why an agent ended: it was asked to, or wants to be started again, by which its programs are upgraded. */
export type AgentEnd = "asked" | "restart";

/** A goodbye that the control plane does not hear costs it a lease's time, no more. */
const GOODBYE_TIMEOUT_MS = 10_000;
/** What the jobs have of the time that the machine's stop leaves to the agent (`STOP_SECONDS`). */
const SHUTDOWN_MS = 60_000;
/** A job is paused 30 s after its operator wants it at the latest; a heartbeat tells of it within six of them. */
const PAUSE_MS = 24_000;
const LEASE_TICK_MS = 250;
const IDLE_LOOK_MS = 1_000;
const REFUSED_PAUSE_MS = 10_000;
/**
 * From a drain's begin until the parked claim is hung up: the control plane has heard of the drain by then. What it has granted before is
 * given back at once, where an answer that nobody reads would hold its jobs for as long as a grant may wait.
 */
const HANG_UP_MS = 1_000;
/** How long after a drain's deadline last words are tried to be said that nobody takes, though heartbeats are answered. */
const LAST_WORDS_MS = 30_000;
const DEFAULT_INTERVALS = { progressMs: 30_000, metricsMs: 60_000 };

/**
 * The worker agent: takes up the daemons it finds running, registers, keeps its session and its lease, runs jobs, and leaves in
 * order when the group, EC2, the control plane or whoever runs it says so.
 */
export async function runAgent(props: AgentProps, ports: AgentPorts, signals: AgentSignals): Promise<AgentEnd> {
  return await new WorkerAgent(props, ports).run(signals);
}

class WorkerAgent implements AgentView {
  readonly session: SessionState = { token: undefined, open: false, answeredAt: 0 };
  readonly jobs: JobSupervisor;
  private readonly source: JobSource;
  private readonly lease: LeaseKeeper;
  private readonly orders: Orders;
  private readonly progress = trackProgress();
  private readonly beats = new Nap();
  private readonly changes = new Nap();
  private readonly claims = new Nap();
  /** No more claims. */
  private readonly full = new AbortController();
  /** Nobody waits any more for the answer to the one that is parked. */
  private readonly hungUp = new AbortController();
  /** The loops end. */
  private leaving = new AbortController();
  /** Nothing more is said. */
  private readonly ending = new AbortController();
  private intervals = DEFAULT_INTERVALS;
  draining: Drain | undefined;
  private going = false;
  /** It leaves to start anew. */
  private again = false;
  /** Grants that this machine may not take up now would only come again. */
  private claimAfter = 0;
  private ready = false;
  private readonly upgrades: Upgrades | undefined;
  /** Ends the agent and leaves its daemons to its next life. */
  private readonly restarting = new AbortController();

  constructor(
    private readonly props: AgentProps,
    private readonly ports: AgentPorts,
  ) {
    const { controlPlane, log, holdLease } = ports;
    this.lease = new LeaseKeeper(holdLease, () => {
      log.warn("lease over: ending the daemons that may not outlive it");
      this.jobs.stopAll({ mode: "kill", cause: "lease" });
    });
    this.upgrades = ports.upgrades?.({
      log,
      changed: () => this.beats.wake(),
      mayRestart: () => !this.draining && !this.leaving.signal.aborted,
      restart: () => this.restarting.abort(),
      failures: () => this.jobs.failures,
    });
    const { upgrades } = this;
    this.orders = ordersTo({
      stop: ({ mode, ...ref }) => this.jobs.stop(ref, orderOf(mode, performance.now())),
      drain: ({ mode, deadlineMs }) => this.drain("control plane", mode, deadlineMs),
      test_connection: connectionTests({ ...ports, session: this.session }),
      ...(upgrades && { upgrade: (wanted) => upgrades.obey(wanted) }),
    });
    const { session, orders } = this;
    this.source = controlPlaneSource({ controlPlane, session, orders, log, ending: this.ending.signal });
    const ages = [props.maxJobAgeMs, controlPlane.longestJobMs].filter((ageMs) => ageMs !== undefined);
    this.jobs = new JobSupervisor(props.worker.slots, {
      ...ports,
      source: this.source,
      lease: this.lease,
      admit: () => this.admit(),
      progressMs: () => this.intervals.progressMs,
      maxJobAgeMs: Math.min(...ages),
      changed: () => {
        this.claims.wake();
        this.changes.wake();
        if (this.jobs.released.length > 0) this.beats.wake();
      },
    });
  }

  async run({ stop, handOver: asked }: AgentSignals): Promise<AgentEnd> {
    const { ports, restarting } = this;
    const heard = new AbortController();
    const watchMachine = async () => {
      if (await ports.machineStops?.(this.leaving.signal)) this.drain("stop", "handoff", SHUTDOWN_MS);
    };
    onAbort(stop, heard.signal, () => {
      this.leave("stop");
      void watchMachine();
    });
    for (const handOver of [asked, restarting.signal]) onAbort(handOver, heard.signal, () => this.leaving.abort());
    const ticking = setInterval(() => this.lease.tick(), LEASE_TICK_MS);
    const pulse = ports.watchdogPeriodMs && setInterval(() => this.live(), ports.watchdogPeriodMs);
    if (pulse) this.live();

    await this.jobs.adopt();
    await this.upgrades?.resume();
    await this.loops();
    await ports.notify({ status: "leaving" });
    if (restarting.signal.aborted) await ports.controlPlane.settled?.();
    const endsForGood = restarting.signal.aborted && stop.aborted && !asked.aborted;
    if (endsForGood) {
      // Whoever told it does not start it again, so its jobs would have nobody until their lease is over.
      this.leaving = new AbortController();
      Object.assign(this.session, { token: undefined, open: false });
      void watchMachine();
      await this.upgrades?.abandon();
      await this.loops();
    }
    heard.abort();
    const handsOver = asked.aborted || (restarting.signal.aborted && !endsForGood);
    if (!handsOver) {
      await this.sayGoodbye();
      await ports.cloud?.left(this, AbortSignal.any([stop, asked]));
    }
    await ports.controlPlane.settled?.();
    await ports.notify({ stopping: true });
    this.ending.abort();
    clearInterval(ticking);
    if (pulse) clearInterval(pulse);
    // Who was told to end is not started again: systemd would take the status of a stop for a failure, and the instance be replaced.
    return (restarting.signal.aborted || this.again) && !stop.aborted ? "restart" : "asked";
  }

  /** Until it leaves. */
  private async loops(): Promise<void> {
    const { jobs, leaving, ports, progress, session } = this;
    await Promise.all([
      this.keepSession(),
      this.claimJobs(),
      this.letGo(),
      pushMetrics({ ...ports, jobs, session, everyMs: () => this.intervals.metricsMs }, leaving.signal),
      ports.cloud?.run(this, progress, leaving.signal),
    ]);
  }

  drain(source: DrainSource, mode: DrainMode, deadlineMs: number): void {
    const next = tightened(this.draining, { source, mode, deadlineAt: performance.now() + deadlineMs });
    if (next === this.draining) return;
    const what = this.draining ? "the drain has less time" : "draining";
    const seconds = Math.round((next.deadlineAt - performance.now()) / 1_000);
    this.ports.log.info(what, { source, mode: next.mode, seconds });
    this.draining = next;
    this.full.abort();
    const hangUp = (): void => this.hungUp.abort();
    if (this.ports.controlPlane.givesBackLateGrants) hangUp();
    else setTimeout(hangUp, HANG_UP_MS).unref();
    this.beats.wake();
    this.changes.wake();
  }

  leave(source: DrainSource, again = false): void {
    this.again ||= again;
    if (!this.going) this.ports.log.info("leaving", { source });
    this.going = true;
    const { mode, deadlineSeconds } = this.props.drain;
    this.drain(source, mode, deadlineSeconds * 1_000);
    this.changes.wake();
  }

  private async keepSession(): Promise<void> {
    const { ports, progress, leaving } = this;
    const worker = { ...this.props.worker, features: [...this.orders.features] };
    const sessionPorts: SessionPorts = {
      ...ports,
      random: Math.random,
      now: () => performance.now(),
      work: this.sessionWork(),
      status: (line) => ports.notify({ status: line }),
      sleep: (delayMs, signal) => this.beats.sleep(delayMs, signal),
      turn: (waitMs) => progress.turn("session", waitMs),
    };
    progress.turn("session", 0);
    await keepSession(worker, this.session, sessionPorts, leaving.signal, async (answer) => {
      this.intervals = answer;
      await ports.notify({ ready: !this.ready, status: "registered" });
      this.ready = true;
    });
    progress.end("session");
  }

  private sessionWork(): SessionWork {
    const { jobs, leaving, lease, orders, upgrades } = this;
    const { log } = this.ports;
    return {
      beat: () => {
        const sending = lease.sending();
        const released = [...jobs.released];
        const upgrade = upgrades?.said();
        return {
          message: {
            state: this.draining ? "draining" : "active",
            running: jobs.running(),
            released,
            ...(upgrade && { upgrade }),
          },
          answered: (answer) => {
            lease.renew(sending, answer.leaseMs);
            jobs.releasedHeard(released);
            upgrades
              ?.heard(
                upgrade,
                answer.actions.filter((action) => action.kind === "upgrade"),
                { sentAt: sending.at, leaseMs: answer.leaseMs },
              )
              .catch((error) => log.error("trial not noted", { reason: reason(error) }));
            orders.obey(answer.actions);
            this.claims.wake();
          },
        };
      },
      closed: async () => {
        jobs.stopAll({ mode: "kill", cause: "fenced" });
        const isBusy = () => jobs.running().length > 0 || (jobs.used > 0 && !leaving.signal.aborted);
        while (isBusy()) await this.changes.sleep(IDLE_LOOK_MS);
      },
    };
  }

  private async claimJobs(): Promise<void> {
    const { jobs, lease, session, source } = this;
    const ended = AbortSignal.any([this.full.signal, this.leaving.signal]);
    const hungUp = AbortSignal.any([this.hungUp.signal, this.leaving.signal]);
    while (!ended.aborted) {
      if (!session.open || !lease.valid) {
        await this.claims.sleep(IDLE_LOOK_MS, ended);
        continue;
      }
      if (this.claimable === 0) {
        await this.waitForOrders(ended);
        continue;
      }
      if (!(await this.mayTake())) continue;
      const { lapses } = lease;
      for (const grant of await source.claim(this.claimable, hungUp)) {
        if (ended.aborted) jobs.decline(grant);
        else jobs.start(grant, lapses);
      }
    }
  }

  /** Slots that jobs may be claimed for now. */
  private get claimable(): number {
    return performance.now() < this.claimAfter ? 0 : this.jobs.free;
  }

  /** Until a job may be claimed again. */
  private async waitForOrders(ended: AbortSignal): Promise<void> {
    const over = new AbortController();
    const waiting = AbortSignal.any([ended, over.signal]);
    const answered = this.source.claim(0, waiting).finally(() => over.abort());
    while (!waiting.aborted && this.claimable === 0) await this.claims.sleep(IDLE_LOOK_MS, waiting);
    over.abort();
    await answered;
  }

  /** Whether a grant could be taken up now; asked where one that is given back counts all the same. */
  private async mayTake(): Promise<boolean> {
    const { cloud, controlPlane } = this.ports;
    if (!cloud || !controlPlane.countsGrants) return true;
    const mayTake = await (this.jobs.used === 0 ? cloud.isProtectable() : cloud.protect());
    if (!mayTake) this.claimAfter = performance.now() + REFUSED_PAUSE_MS;
    return mayTake;
  }

  private async admit(): Promise<boolean> {
    if (this.draining) return false;
    const admitted = (await this.ports.cloud?.protect()) ?? true;
    if (!admitted) this.claimAfter = performance.now() + REFUSED_PAUSE_MS;
    return admitted && !this.draining;
  }

  /** Ends the daemons of a drain in time, and the agent's loops once it is to leave and none is left. */
  private async letGo(): Promise<void> {
    const { changes, jobs, leaving } = this;
    let told: Drain | undefined;
    while (!leaving.signal.aborted) {
      const { draining } = this;
      const now = performance.now();
      if (draining && draining !== told && quiesceAt(draining, now) <= now) {
        told = draining;
        jobs.stopAll({ mode: "quiesce", cause: "drain", deadlineAt: draining.deadlineAt });
      }
      if (jobs.used === 0) void this.ports.cloud?.unprotect();
      if (this.going && (jobs.used === 0 || this.isUnheard())) return leaving.abort();
      const dueMs = draining && draining !== told ? quiesceAt(draining, now) - now : IDLE_LOOK_MS;
      await changes.sleep(Math.min(dueMs, IDLE_LOOK_MS), leaving.signal);
    }
  }

  /**
   * Whether the last words of the jobs would come too late to change anything: with the lease they are anybody's. While it is renewed and they
   * are not taken the goodbye frees them.
   */
  private isUnheard(): boolean {
    const { draining, jobs, lease } = this;
    if (!draining || jobs.running().length > 0) return false;
    const overMs = performance.now() - draining.deadlineAt;
    if (overMs < (lease.valid ? LAST_WORDS_MS : 0)) return false;
    this.ports.log.warn("leaving unheard: the drain's deadline is over", { jobs: jobs.used });
    return true;
  }

  private live(): void {
    const isLeaving = this.going && performance.now() < (this.draining?.deadlineAt ?? 0);
    const phase = isLeaving ? "stopping" : this.ready ? "running" : "starting";
    const sign = signOfLife(this.progress, phase, this.ports.watchdogPeriodMs ?? 0);
    if (sign) void this.ports.notify(sign);
    else this.ports.log.error("no progress: the watchdog will end the agent", { loops: this.progress.stuck() });
  }

  private async sayGoodbye(): Promise<void> {
    const { token } = this.session;
    const { controlPlane, log } = this.ports;
    if (!token) return;
    try {
      const deregister = () => controlPlane.post("deregister", { reason: "the agent leaves" }, token);
      await withDeadline("deregister", GOODBYE_TIMEOUT_MS, deregister);
      log.info("deregistered");
    } catch (error) {
      log.warn("not deregistered", { reason: reason(error) });
    }
  }
}

/** As a heartbeat brings it, again and again until it is carried out: the first counts. */
function orderOf(mode: StopOrder["mode"], now: number): StopOrder {
  if (mode === "kill") return { mode, cause: "fenced" };
  return { mode, cause: "order", ...(mode === "quiesce" && { deadlineAt: now + PAUSE_MS }) };
}

function onAbort(signal: AbortSignal, until: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { signal: until });
}
