import { setTimeout as sleep } from "node:timers/promises";
import { longestGapMs } from "../../../scripts/bench-rolling/servers/longest-gap";
import { NODE_EXISTS, ZooKeeperRefused, ZooKeeperSession } from "./zookeeper-client";

const PERIOD_MS = 20;
const ATTEMPT_MS = 2_000;
const RETRY_MS = 20;
export const ROOT = "/writes";
export const FIRST = "000000000";

/**
 * A client of ZooKeeper that begins a write every 20 ms whatever became of the earlier ones. It keeps one session, with the next
 * server when that ends, and repeats what was not acknowledged.
 */
export class ZooKeeperWriter {
  readonly #acknowledged: { readonly name: string; readonly atMs: number }[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #session: Promise<ZooKeeperSession> | undefined;
  #turn = 0;
  #begun = 0;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly addresses: readonly string[]) {}

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  async start(): Promise<void> {
    await this.#create(ROOT);
    this.#timer = setInterval(() => {
      const name = String(this.#begun++).padStart(9, "0");
      const write = this.#create(`${ROOT}/${name}`)
        .then((done) => {
          if (done) this.#acknowledged.push({ name, atMs: Date.now() });
        })
        .finally(() => this.#underWay.delete(write));
      this.#underWay.add(write);
    }, PERIOD_MS);
  }

  /** Begins no more writes and waits until those that were begun are acknowledged. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
  }

  /** Gives up what is not acknowledged yet. */
  abandon(): void {
    clearInterval(this.#timer);
    this.#isOver = true;
    void this.#session?.then((session) => session.close()).catch(() => undefined);
  }

  /** Longest time without an acknowledgement between two moments, milliseconds. */
  longestGapMs(fromMs: number, toMs: number): number {
    return longestGapMs(
      this.#acknowledged.map(({ atMs }) => atMs),
      fromMs,
      toMs,
    );
  }

  /** Acknowledged writes the ensemble does not hold now. */
  async lost(): Promise<string[]> {
    const held = new Set(await (await this.#open()).children(ROOT));
    return this.#acknowledged.map(({ name }) => name).filter((name) => !held.has(name));
  }

  /** An earlier attempt may have arrived, though nobody said so: then the node is there. */
  async #create(path: string): Promise<boolean> {
    while (!this.#isOver) {
      try {
        await (await this.#open()).create(path, "x");
        return true;
      } catch (error) {
        if (error instanceof ZooKeeperRefused && error.code === NODE_EXISTS) return true;
        await sleep(RETRY_MS);
      }
    }
    return false;
  }

  /** One session for all writes, opened by the first that finds none. */
  #open(): Promise<ZooKeeperSession> {
    this.#session ??= this.#connect().catch((error) => {
      this.#session = undefined;
      throw error;
    });
    return this.#session;
  }

  async #connect(): Promise<ZooKeeperSession> {
    const address = this.addresses[this.#turn++ % this.addresses.length] ?? "";
    const session = await ZooKeeperSession.open(address, ATTEMPT_MS);
    void session.ended.then(() => {
      this.#session = undefined;
    });
    return session;
  }
}
