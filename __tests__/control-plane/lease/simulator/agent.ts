import type { Closed, Orders, Ref } from "../../../../control-plane/lease/coordinator";
import { renewed } from "../../../../control-plane/protocol/worker-lease";
import type { Machine } from "./machine";
import type { Network } from "./network";

const SLOTS = 4;
const RETRY_MS = 3_000;

interface Pending extends Ref {
  readonly sinceLapse: number;
}

/** One life of an agent: registers, heartbeats, claims, starts what it is granted, reports what ends. */
export class Agent {
  private readonly session: string;
  private readonly starting = new Map<string, Pending>();
  private readonly reporting = new Map<string, Ref>();
  private released: Ref[] = [];
  private open = false;
  private claiming = false;
  private claims = 0;
  /** How often the lease ran out: an answer to something asked before then comes too late. */
  private lapses = 0;
  private lapsed = true;

  constructor(
    private readonly machine: Machine,
    private readonly network: Network,
  ) {
    machine.life += 1;
    machine.agent = "up";
    this.session = `${machine.id}/${machine.life}`;
    this.register();
  }

  /** A daemon is gone without the agent's doing: by the guard, by itself, with the agent of before. */
  daemonGone(ref: Ref, exit: "completed" | "failed" | undefined): void {
    if (exit) this.report(ref, exit);
    else if (this.machine.mutant !== "no release report") this.released.push(ref);
  }

  private register(): void {
    const { machine, session } = this;
    if (this.open) return;
    this.network.ask(
      machine,
      (server) => server.register(session, machine.id),
      (answer) => {
        if (answer === "registered" && !this.open) this.beat();
      },
    );
    machine.agentAfter(RETRY_MS * 2, () => this.register());
  }

  private beat(): void {
    const { machine } = this;
    this.noticeLapse();
    const sentAtMs = machine.tick().elapsedMs;
    const running: Ref[] = [...machine.daemons.values(), ...this.starting.values()];
    const released = [...this.released];
    this.network.ask(
      machine,
      (server) => server.heartbeat(this.session, { running, released }),
      (orders) => {
        this.noticeLapse();
        if (orders === "session_closed") {
          this.replaced();
          return;
        }
        const from = machine.mutant === "response-time deadline" ? machine.tick().elapsedMs : sentAtMs;
        machine.renew(renewed(machine.lease, { sentAtMs: from, leaseMs: machine.timing.workerLeaseMs }));
        this.lapsed = !machine.leaseIsValid();
        this.released = this.released.filter((ref) => !released.includes(ref));
        this.obey(orders);
        if (!this.open) this.keepBeating();
        this.open = true;
        this.claim();
      },
    );
  }

  private keepBeating(): void {
    this.machine.agentAfter(this.machine.timing.heartbeatMs * this.network.world.between(0.8, 1.2), () => {
      this.beat();
      this.keepBeating();
    });
  }

  private noticeLapse(): void {
    if (this.lapsed || this.machine.leaseIsValid()) return;
    this.lapsed = true;
    this.lapses += 1;
  }

  private obey(orders: Orders): void {
    for (const ref of orders.kill) {
      const daemon = this.machine.daemons.get(ref.jobId);
      if (daemon?.fence === ref.fence) this.machine.kill(daemon, "order");
    }
  }

  private replaced(): void {
    for (const daemon of [...this.machine.daemons.values()]) this.machine.kill(daemon, "order");
    new Agent(this.machine, this.network).released = [];
  }

  private claim(): void {
    const { machine } = this;
    const free = SLOTS - machine.daemons.size - this.starting.size - this.reporting.size;
    if (this.claiming || free <= 0 || this.lapsed) return;
    this.claiming = true;
    const claimId = `${this.session}#${this.claims++}`;
    const sinceLapse = this.lapses;
    let open = true;
    const done = (grants: Ref[] | Closed): void => {
      if (!open) return;
      open = false;
      this.claiming = false;
      this.noticeLapse();
      if (grants === "session_closed") return;
      for (const ref of grants) this.start({ ...ref, sinceLapse });
      machine.agentAfter(100, () => this.claim());
    };
    this.network.askParked(machine, (server, answer) => server.claim(claimId, this.session, free, answer), done);
    machine.agentAfter(machine.timing.claimWaitMs + 10_000, () => done([]));
  }

  private start(ref: Pending): void {
    const { machine } = this;
    if (ref.sinceLapse !== this.lapses || machine.daemons.has(ref.jobId)) return;
    this.starting.set(ref.jobId, ref);
    const ask = (attempt: number): void => {
      if (this.starting.get(ref.jobId) !== ref) return;
      this.noticeLapse();
      if (attempt * RETRY_MS >= machine.timing.grantMs || this.lapsed || ref.sinceLapse !== this.lapses) {
        this.starting.delete(ref.jobId);
        this.released.push(ref);
        return;
      }
      this.network.ask(
        machine,
        (server) => server.started(this.session, ref),
        (granted) => this.spawn(ref, granted),
      );
      machine.agentAfter(RETRY_MS, () => ask(attempt + 1));
    };
    ask(0);
  }

  private spawn(ref: Pending, granted: boolean): void {
    this.noticeLapse();
    if (this.starting.get(ref.jobId) !== ref) return;
    if (granted && (this.lapsed || ref.sinceLapse !== this.lapses)) return;
    this.starting.delete(ref.jobId);
    if (granted) this.machine.spawn(ref.jobId, ref.fence, this.network.isKept(ref.jobId));
  }

  private report(ref: Ref, outcome: "completed" | "failed"): void {
    this.reporting.set(ref.jobId, ref);
    const send = (): void => {
      if (this.reporting.get(ref.jobId) !== ref) return;
      this.network.ask(
        this.machine,
        (server) => server.report(this.session, ref, outcome),
        () => this.reporting.delete(ref.jobId),
      );
      this.machine.agentAfter(RETRY_MS, send);
    };
    send();
  }
}
