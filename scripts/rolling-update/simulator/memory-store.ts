import { intercept } from "../intercept";
import type { Store } from "../store";
import type { Process } from "./virtual-clock";

/** Runs around every call of a store: the place of crashes and of what a test wants to see. */
export type StoreObserver = (
  method: keyof Store,
  call: () => Promise<unknown>,
  args: readonly unknown[],
) => Promise<unknown>;

/** A store in memory; each process reaches it through a connection of its own. */
export class MemoryStore implements Store {
  readonly #texts = new Map<string, string>();

  /** The store as one process sees it: with its latency, and silent once the process is killed. */
  connect(
    process: Process,
    latencyMs: () => number = () => 0,
    around: StoreObserver = (_method, call) => call(),
  ): Store {
    return intercept<Store>(this, (method, call, args) => {
      const travel = async () => {
        const latency = latencyMs();
        if (latency > 0) await process.sleep(latency / 2);
        const answer = await call();
        if (latency > 0) await process.sleep(latency / 2);
        return answer;
      };
      return process.whileAlive(around(method, travel, args));
    });
  }

  async list(prefix: string): Promise<ReadonlyMap<string, string>> {
    return new Map([...this.#texts].filter(([key]) => key.startsWith(prefix)));
  }

  async create(key: string, text: string): Promise<boolean> {
    if (this.#texts.has(key)) return false;
    this.#texts.set(key, text);
    return true;
  }

  async write(key: string, text: string): Promise<void> {
    this.#texts.set(key, text);
  }

  async remove(key: string): Promise<void> {
    this.#texts.delete(key);
  }
}
