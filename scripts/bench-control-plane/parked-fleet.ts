import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Action } from "../../control-plane/protocol/messages";
import type { ServerProcess } from "../chaos/server-process";
import { until } from "../chaos/until";
import type { Obey } from "./connection-testers";
import { type Address, Connections } from "./connections";
import { CLAIM_TIMEOUT_MS, claimAgainMs, PARK_MS } from "./worker-pace";

const PATIENCE_MS = 300_000;

interface ClaimAnswer {
  readonly nextMs: number;
  readonly grants: readonly {
    readonly jobId: string;
    readonly fence: number;
    readonly spec: { readonly name: string };
  }[];
  readonly actions: readonly Action[];
}

interface News {
  readonly at: Promise<number>;
  readonly heard: (at: number) => void;
}

/** Workers that wait at one copy for work, or for orders alone, and say of what they get that it starts. */
export class ParkedFleet {
  private readonly connections: Connections[] = [];
  private readonly news = new Map<string, News>();
  private over = false;

  /**
   * @param roads by which workers reach the copy, in turn. @default - without detour
   * @param obey is told what each claim orders beside jobs. @default - nobody is
   * @param freeSlots of each worker. @default 1
   */
  constructor(
    private readonly copy: Pick<ServerProcess, "url">,
    private readonly roads: readonly Address[] = [copy],
    private readonly obey?: Obey,
    private readonly freeSlots = 1,
  ) {}

  /** How many connections were made so far. */
  get connectionsMade(): number {
    return this.connections.reduce((sum, { made }) => sum + made, 0);
  }

  wait(token: string): void {
    const road = this.roads[this.connections.length % this.roads.length] as Address;
    const connection = new Connections(road, 1);
    this.connections.push(connection);
    void this.claims(token, connection);
  }

  /** When the claim was answered that got the job of this name, or that brought the order to drain to the worker with this token. */
  async told(of: string): Promise<number> {
    return await this.newsOf(of).at;
  }

  /** When the answer came that the daemon of the job of this name may start. */
  async started(name: string): Promise<number> {
    return await this.newsOf(startOf(name)).at;
  }

  async allParked(workers: number): Promise<void> {
    await until("every claim is parked", PATIENCE_MS, async () =>
      (await this.figure("holdfast_parked_claims")) >= workers ? true : undefined,
    );
  }

  /** What the copy tells Prometheus. */
  async figure(name: string): Promise<number> {
    const text = await (await fetch(`${this.copy.url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1]);
  }

  stop(): void {
    this.over = true;
    for (const connection of this.connections) connection.close();
  }

  private newsOf(what: string): News {
    const known = this.news.get(what);
    if (known) return known;
    let heard: News["heard"] = () => {};
    const at = new Promise<number>((resolve) => {
      heard = resolve;
    });
    const news = { at, heard };
    this.news.set(what, news);
    return news;
  }

  private async claims(token: string, connection: Connections): Promise<void> {
    for (let failures = 0; !this.over; ) {
      try {
        const body = { claimId: randomUUID(), freeSlots: this.freeSlots, waitMs: PARK_MS };
        const answer = JSON.parse(
          await connection.post("claim", token, body, { timeoutMs: CLAIM_TIMEOUT_MS }),
        ) as ClaimAnswer;
        const at = performance.now();
        failures = 0;
        for (const { jobId, fence, spec } of answer.grants) {
          this.newsOf(spec.name).heard(at);
          await connection.post("started", token, { jobId, fence });
          this.newsOf(startOf(spec.name)).heard(performance.now());
        }
        this.obey?.(token, answer.actions);
        if (answer.actions.some(({ kind }) => kind === "drain")) {
          this.newsOf(token).heard(at);
          return;
        }
        await pause(answer.nextMs, undefined, { ref: false });
      } catch {
        failures += 1;
        await pause(claimAgainMs(failures), undefined, { ref: false });
      }
    }
  }
}

const startOf = (name: string): string => `start of ${name}`;
