import { jsonHttp } from "../../rolling-update/clusters/json-http";
import { longestGapMs } from "./longest-gap";

const PERIOD_MS = 20;
const ATTEMPT_MS = 1_000;
const RETRY_MS = 5;
const PREFIX = "write/";

/**
 * A client of etcd that begins a write every 20 ms whatever became of the earlier ones, and tries each at one endpoint
 * after the other until it is acknowledged.
 */
export class SteadyWriter {
  readonly #http = jsonHttp(ATTEMPT_MS);
  readonly #acknowledged: { readonly key: string; readonly atMs: number }[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #begun = 0;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param endpoints client URLs of the members */
  constructor(private readonly endpoints: readonly string[]) {}

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  start(): void {
    this.#timer = setInterval(() => {
      const write = this.#write(this.#begun++).finally(() => this.#underWay.delete(write));
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
  }

  /** Longest time without an acknowledgement between two moments, milliseconds. */
  longestGapMs(fromMs: number, toMs: number): number {
    return longestGapMs(
      this.#acknowledged.map(({ atMs }) => atMs),
      fromMs,
      toMs,
    );
  }

  /** Acknowledged writes the cluster does not hold now. */
  async lost(): Promise<string[]> {
    const held = new Set<string>();
    for (let from = PREFIX; ; ) {
      const answer = await this.#post(0, "kv/range", {
        key: encode(from),
        range_end: encode(`${PREFIX}~`),
        limit: 5_000,
        keys_only: true,
      });
      const { kvs = [], more = false } = answer as { kvs?: { key: string }[]; more?: boolean };
      for (const { key } of kvs) held.add(Buffer.from(key, "base64").toString());
      if (!more) break;
      from = `${Buffer.from(kvs.at(-1)?.key ?? "", "base64")}\0`;
    }
    return this.#acknowledged.map(({ key }) => key).filter((key) => !held.has(key));
  }

  async #write(number: number): Promise<void> {
    const key = `${PREFIX}${String(number).padStart(9, "0")}`;
    for (let attempt = 0; !this.#isOver; attempt++) {
      try {
        await this.#post(number + attempt, "kv/put", { key: encode(key), value: encode(String(number)) });
        this.#acknowledged.push({ key, atMs: Date.now() });
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #post(turn: number, path: string, body: unknown): Promise<unknown> {
    const url = `${this.endpoints[turn % this.endpoints.length]}/v3/${path}`;
    const answer = await this.#http({ method: "POST", url, body });
    if (answer.status !== 200) throw new Error(`${url} answers ${answer.status}`);
    return answer.body;
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}
