import * as z from "zod/mini";
import type { Clock } from "./clock";
import { type Cloud, MUTATIONS } from "./cloud";
import { intercept } from "./intercept";
import { patient } from "./retries";
import { RollError } from "./roll-error";
import type { Store } from "./store";

/** A lease not renewed for this long belongs to nobody. */
export const LOCK_TTL_MS = 60_000;
/** An expired lease is watched this long before it is taken, in case only the clocks differ. */
const WATCH_MS = LOCK_TTL_MS / 2;
/** What remains of a lease when a mutation starts must cover the mutation: an API call gives up sooner than this. */
export const MUTATION_MARGIN_MS = 15_000;
/** How often an API call may be tried, and for how long each time, so that with the pauses between it stays within the margin. */
export const CALL_ATTEMPTS = 3;
export const ATTEMPT_TIMEOUT_MS = MUTATION_MARGIN_MS / (CALL_ATTEMPTS + 1);
/** A mutation that starts before the renewal is due is over before whoever watches the lease has watched for long enough. */
const RENEW_AFTER_MS = WATCH_MS - MUTATION_MARGIN_MS;
const PREFIX = "lock/";

const leaseSchema = z.strictObject({
  owner: z.string(),
  renewedMs: z.number(),
  released: z.boolean(),
});
type Lease = z.infer<typeof leaseSchema>;

/**
 * One roller per cluster. Each ownership is an epoch, a record created atomically under the next number: the highest number
 * owns the cluster, so a roller that lost the lock sees a higher one before it changes anything (the number is its fencing
 * token). Only the owner writes its record, to renew or to release it.
 */
export class Lock {
  #renewedMs: number;
  private constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    readonly epoch: number,
    private readonly owner: string,
    nowMs: number,
  ) {
    this.#renewedMs = nowMs;
  }

  /**
   * @param owner who asks, for the one who is refused: user, host, process.
   * @throws RollError LOCK_HELD naming the owner.
   */
  static async acquire(connection: Store, clock: Clock, owner: string): Promise<Lock> {
    const store = patient(connection, clock);
    const { epoch, lease } = await newest(store);
    if (lease && !lease.released) {
      const ageMs = clock.now() - lease.renewedMs;
      if (Math.abs(ageMs) < LOCK_TTL_MS) refuse(lease);
      // One from the future was written by a clock that is wrong: it says nothing of its owner.
      await clock.sleep(ageMs < 0 ? LOCK_TTL_MS + WATCH_MS : WATCH_MS);
      const later = await newest(store);
      if (later.epoch !== epoch || later.lease?.renewedMs !== lease.renewedMs) refuse(later.lease ?? lease);
    }
    const nowMs = clock.now();
    const own = { owner, renewedMs: nowMs, released: false };
    if (!(await store.create(key(epoch + 1), text(own)))) {
      const { epoch: taken, lease: winner } = await newest(store);
      // A creation whose answer is lost is refused to its own author, who tries again.
      const isOwn = taken === epoch + 1 && winner?.owner === owner && winner.renewedMs === nowMs;
      if (!isOwn) refuse(winner ?? { ...own, owner: "another roller" });
    }
    if (epoch > 0) await store.remove(key(epoch));
    return new Lock(connection, clock, epoch + 1, owner, nowMs);
  }

  /**
   * Renews the lease when it is due, and makes sure that it still covers a mutation.
   * @throws RollError LOCK_LOST when another roller owns the cluster, or the lease ran out.
   */
  async assertHeld(): Promise<void> {
    const { epoch } = await newest(this.store);
    if (epoch !== this.epoch) throw lost(`epoch ${epoch} has begun, this roller held ${this.epoch}`);
    if (this.#isDue()) await this.#renew();
    if (this.clock.now() - this.#renewedMs > LOCK_TTL_MS - MUTATION_MARGIN_MS) throw lost("the lease ran out");
  }

  /** Renews the lease when it is due; called on every turn, so that a live roller keeps the cluster. */
  async keep(): Promise<void> {
    if (this.#isDue()) await this.assertHeld();
  }

  /** Also where the clock was set back: how old the lease is can no longer be told then. */
  #isDue(): boolean {
    const ageMs = this.clock.now() - this.#renewedMs;
    return ageMs < 0 || ageMs >= RENEW_AFTER_MS;
  }

  async release(): Promise<void> {
    const { epoch } = await newest(this.store);
    if (epoch !== this.epoch) return;
    await this.store.write(key(this.epoch), text({ owner: this.owner, renewedMs: this.#renewedMs, released: true }));
  }

  /** Never revives a lease that ran out: whoever watches it may be about to take it. */
  async #renew(): Promise<void> {
    const nowMs = this.clock.now();
    if (nowMs - this.#renewedMs >= LOCK_TTL_MS) throw lost("the lease ran out");
    await this.store.write(key(this.epoch), text({ owner: this.owner, renewedMs: nowMs, released: false }));
    this.#renewedMs = nowMs;
  }
}

/**
 * The cloud, with the lock asserted before every change and kept alive by every read. Retries belong around it, so that a
 * change is never sent on an assertion made before a pause.
 */
export function fenced(cloud: Cloud, lock: Pick<Lock, "assertHeld" | "keep">): Cloud {
  const mutations: readonly string[] = MUTATIONS;
  return intercept(cloud, async (method, call) => {
    await (mutations.includes(method) ? lock.assertHeld() : lock.keep());
    return call();
  });
}

/** What may take its time to answer, the lease kept alive meanwhile. */
export function kept<Port extends object>(port: Port, lock: Pick<Lock, "keep">, clock: Clock): Port {
  return intercept(port, async (_method, call) => {
    const over = new AbortController();
    const answer = call().finally(() => over.abort());
    const keeping = async () => {
      for (;;) {
        await clock.sleep(RENEW_AFTER_MS, over.signal);
        if (over.signal.aborted) return answer;
        await lock.keep();
      }
    };
    return Promise.race([answer, keeping()]);
  });
}

/** Who owns the cluster, undefined when nobody does. */
export async function lockOwner(store: Store): Promise<string | undefined> {
  return (await lastRoller(store, 0))?.owner;
}

/** Who has not given the cluster back, and how long ago it was heard of last; it is dead once that is twice the life of a lease. */
export interface LastRoller {
  readonly owner: string;
  readonly silentMs: number;
  readonly isDead: boolean;
}

/** Undefined when nobody owns the cluster. */
export async function lastRoller(store: Store, nowMs: number): Promise<LastRoller | undefined> {
  const { lease } = await newest(store);
  if (!lease || lease.released) return undefined;
  const silentMs = nowMs - lease.renewedMs;
  return { owner: lease.owner, silentMs, isDead: silentMs > 2 * LOCK_TTL_MS };
}

/** The number of the last ownership: it grows when another roller takes the cluster. */
export async function lockNumber(store: Store): Promise<number> {
  return (await newest(store)).epoch;
}

async function newest(store: Store): Promise<{ epoch: number; lease: Lease | undefined }> {
  let epoch = 0;
  let newestText: string | undefined;
  for (const [name, content] of await store.list(PREFIX)) {
    const number = Number(name.slice(PREFIX.length));
    if (number > epoch) [epoch, newestText] = [number, content];
  }
  return { epoch, lease: newestText === undefined ? undefined : leaseSchema.parse(JSON.parse(newestText)) };
}

function refuse({ owner, renewedMs }: Lease): never {
  throw new RollError("LOCK_HELD", `${owner} is rolling this cluster (seen ${new Date(renewedMs).toISOString()})`, {
    next: "`holdfast roll status` shows where it is; `holdfast roll pause` stops it after the current node",
  });
}

function lost(reason: string): RollError {
  return new RollError("LOCK_LOST", "another roller may own this cluster; nothing more is changed", {
    reason,
    next: "`holdfast roll status` names the owner; `holdfast roll resume` goes on once it is gone",
  });
}

const key = (epoch: number) => PREFIX + epoch;
const text = (lease: Lease) => JSON.stringify(lease);
