import { setTimeout as pause } from "node:timers/promises";
import type { Action } from "../../control-plane/protocol/messages";
import { until } from "../chaos/until";
import type { Obey } from "./connection-testers";
import { type Address, Connections } from "./connections";
import { BEAT_TIMEOUT_MS, beatAgainMs } from "./worker-pace";

const PATIENCE_MS = 300_000;

interface BeatAnswer {
  readonly leaseMs: number;
  readonly nextMs: number;
  readonly actions: readonly Action[];
}

/** A worker's lease: from when the heartbeat was sent that was answered last. */
interface Lease {
  sentAt: number;
  runsOut: boolean;
}

/** Workers that renew their leases when the control plane wants it, and as agents do where it does not answer. */
export class BeatingFleet {
  /** From a heartbeat to its answer. */
  readonly ackMs: number[] = [];
  /** Of performance.now, when the first heartbeat was answered that is measured. */
  firstAnsweredAt: number | undefined;
  /** Heartbeats that were refused or not answered in time. */
  unanswered = 0;
  /** Longest from a heartbeat that was answered to the answer of the next. */
  longestUnrenewedMs = 0;
  private readonly connections: readonly Connections[];
  private readonly leases: Lease[] = [];
  private workers = 0;
  private over = false;

  /**
   * @param pools of connections; where there is one for each worker, so is a connection, as agents have it
   * @param obey is told what each heartbeat orders. @default - nobody is
   */
  constructor(
    roads: readonly Address[],
    pools: number,
    mostOfEach?: number,
    private readonly obey?: Obey,
  ) {
    this.connections = Array.from(
      { length: pools },
      (_, index) => new Connections(roads[index % roads.length] as Address, mostOfEach),
    );
  }

  /** How many connections were made so far. */
  get connectionsMade(): number {
    return this.connections.reduce((sum, { made }) => sum + made, 0);
  }

  /** Workers whose lease ran out, if only for a moment. */
  get leasesLost(): number {
    return this.leases.filter(({ runsOut }) => runsOut).length;
  }

  /** The first heartbeats of all are spread over so long. */
  begin(tokens: readonly string[], overMs: number): void {
    this.workers += tokens.length;
    for (const [index, token] of tokens.entries()) {
      const connection = this.connections[index % this.connections.length] as Connections;
      void this.beats(token, connection, (index * overMs) / tokens.length);
    }
  }

  /** Waits until each worker has an answer to a heartbeat that it sent after this moment. @param since of performance.now */
  async allRenewed(since: number): Promise<void> {
    await until("every lease is renewed", PATIENCE_MS, async () =>
      this.leases.length === this.workers && this.leases.every(({ sentAt }) => sentAt > since) ? true : undefined,
    );
  }

  /** Forgets what was measured so far, but for the connections. */
  forget(): void {
    this.ackMs.length = 0;
    this.firstAnsweredAt = undefined;
    this.unanswered = 0;
    this.longestUnrenewedMs = 0;
    for (const lease of this.leases) lease.runsOut = false;
  }

  stop(): void {
    this.over = true;
    for (const connection of this.connections) connection.close();
  }

  private async beats(token: string, connection: Connections, firstAfterMs: number): Promise<void> {
    let lease: Lease | undefined;
    let leaseEndsAt = Number.NEGATIVE_INFINITY;
    let periodMs = 0;
    let failures = 0;
    let dueAt = performance.now() + firstAfterMs;
    for (let seq = 1; ; seq++) {
      await pause(Math.max(0, dueAt - performance.now()), undefined, { ref: false });
      if (this.over) return;
      const sentAt = performance.now();
      try {
        const body = { seq, state: "active", running: [], released: [] };
        const said = await connection.post("heartbeat", token, body, { timeoutMs: BEAT_TIMEOUT_MS });
        const { leaseMs, nextMs, actions } = JSON.parse(said) as BeatAnswer;
        const at = performance.now();
        this.ackMs.push(at - sentAt);
        this.firstAnsweredAt ??= at;
        this.obey?.(token, actions);
        if (lease) {
          this.longestUnrenewedMs = Math.max(this.longestUnrenewedMs, at - lease.sentAt);
          lease.runsOut ||= at - lease.sentAt >= leaseMs;
          lease.sentAt = sentAt;
        } else {
          lease = { sentAt, runsOut: false };
          this.leases.push(lease);
        }
        leaseEndsAt = sentAt + leaseMs;
        periodMs = nextMs;
        dueAt = sentAt + periodMs;
        failures = 0;
      } catch {
        if (this.over) return;
        this.unanswered += 1;
        failures += 1;
        const now = performance.now();
        dueAt = now + beatAgainMs(failures, periodMs, leaseEndsAt - now);
      }
    }
  }
}
