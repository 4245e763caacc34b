import type { Pool } from "pg";
import { NOTIFY_EVERY_MS, Notifications } from "./notifications";

interface Parked {
  readonly deploymentId: string;
  readonly pool: string;
  readonly sessionId: string;
  readonly wake: () => void;
}

/**
 * Parked claims, and what wakes them: a job that becomes ready here, a notification from another copy, or the look that is taken once a
 * second for jobs whose time has come. A parked claim itself asks the database nothing, nor does one that comes while the last look
 * found nothing for it.
 */
export class Waker {
  private readonly parked = new Set<Parked>();
  /** Claims that were woken and have not asked for jobs yet, by deployment and pool. */
  private readonly awake = new Map<string, number>();
  /** Jobs were ready for which claims seemed to be awake. */
  private leftToAwake = false;
  /** Sessions with news that had nothing parked when it came: their claim may be on its way. */
  private readonly missed = new Set<string>();
  private readonly notifications: Notifications;
  private lookTimer: NodeJS.Timeout | undefined;
  private lookLater: NodeJS.Timeout | undefined;
  private looking = false;
  /** Something became ready while a look was under way, which may have come too early to see it. */
  private lookAgain = false;
  /** What the last look found ready, by deployment and pool; undefined before the first. */
  private ready: ReadonlyMap<string, number> | undefined;
  /** Nothing is parked any more: what waited is to be answered as it is. */
  stopped = false;

  constructor(
    private readonly database: Pool,
    listenUrl: string,
    private readonly lookEveryMs = 1_000,
  ) {
    this.notifications = new Notifications(database, listenUrl, (sessions) => {
      for (const sessionId of sessions) this.wakeSession(sessionId);
      void this.lookTwice();
    });
  }

  get size(): number {
    return this.parked.size;
  }

  start(): void {
    this.notifications.start();
    this.lookTimer = setInterval(() => {
      this.awake.clear();
      this.missed.clear();
      void this.look();
    }, this.lookEveryMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.lookTimer);
    clearTimeout(this.lookLater);
    for (const { wake } of this.parked) wake();
    await this.notifications.stop();
  }

  /** Whether there may be work: a claim that is told there is none may park and will be woken. */
  mayHaveWork({ deploymentId, pool }: Pick<Parked, "deploymentId" | "pool">): boolean {
    return this.ready?.has(keyOf(deploymentId, pool)) ?? true;
  }

  /** Waits until woken, until the time is up, or until the asker has gone. */
  async park(who: Omit<Parked, "wake">, waitMs: number, gone: AbortSignal): Promise<"woken" | "over"> {
    if (this.stopped || gone.aborted || waitMs <= 0) return "over";
    if (this.missed.delete(who.sessionId)) return "woken";
    return await new Promise((resolve) => {
      const end = (how: "woken" | "over"): void => {
        clearTimeout(timer);
        gone.removeEventListener("abort", leave);
        this.parked.delete(parked);
        resolve(how);
      };
      const leave = (): void => end("over");
      const parked: Parked = { ...who, wake: () => end("woken") };
      const timer = setTimeout(leave, waitMs);
      gone.addEventListener("abort", leave);
      this.parked.add(parked);
    });
  }

  /** A claim that was woken has asked, whatever it got. */
  asked({ deploymentId, pool }: Pick<Parked, "deploymentId" | "pool">): void {
    const key = keyOf(deploymentId, pool);
    this.awake.set(key, Math.max(0, (this.awake.get(key) ?? 0) - 1));
    if (this.leftToAwake) void this.look();
  }

  /** Jobs may have become ready: wakes claims here, and soon those of other copies. */
  jobsReady(): void {
    void this.look();
    this.notifications.tell();
  }

  /** Something is to be told to a session: its parked claim is answered at once, wherever it is parked. */
  sessionTouched(sessionId: string): void {
    this.wakeSession(sessionId);
    this.notifications.tell(sessionId);
  }

  private wakeSession(sessionId: string): void {
    const waiting = [...this.parked].filter((parked) => parked.sessionId === sessionId);
    if (waiting.length === 0) this.missed.add(sessionId);
    for (const { wake } of waiting) wake();
  }

  /** Wakes as many claims as jobs are ready that none was woken for yet, those that have waited longest first. */
  private async look(): Promise<void> {
    if (this.looking) {
      this.lookAgain = true;
      return;
    }
    this.looking = true;
    try {
      const { rows } = await this.database.query<{ deployment_id: string; pool: string; ready: number }>(
        "select deployment_id, pool, count(*) as ready from ready_jobs where not_before <= now() group by deployment_id, pool",
      );
      this.ready = new Map(rows.map(({ deployment_id, pool, ready }) => [keyOf(deployment_id, pool), ready]));
      const left = new Map([...this.ready].map(([key, ready]) => [key, ready - (this.awake.get(key) ?? 0)]));
      this.leftToAwake = [...this.ready.keys()].some((key) => this.awake.get(key));
      let all = [...left.values()].reduce((sum, jobs) => sum + Math.max(0, jobs), 0);
      for (const parked of this.parked) {
        if (all === 0) break;
        const key = keyOf(parked.deploymentId, parked.pool);
        const jobs = left.get(key) ?? 0;
        if (jobs <= 0) continue;
        left.set(key, jobs - 1);
        all -= 1;
        this.awake.set(key, (this.awake.get(key) ?? 0) + 1);
        parked.wake();
      }
    } catch {
      // Nobody knows then: claims ask for themselves until the next look, a second later.
      this.ready = undefined;
    } finally {
      this.looking = false;
    }
    if (this.lookAgain) {
      this.lookAgain = false;
      await this.look();
    }
  }

  /** Now, and again before the next notification may come: the sender tells of what is ready meanwhile only then. */
  private async lookTwice(): Promise<void> {
    this.lookLater ??= setTimeout(() => {
      this.lookLater = undefined;
      void this.look();
    }, NOTIFY_EVERY_MS / 2);
    await this.look();
  }
}

const keyOf = (deploymentId: string, pool: string): string => `${deploymentId}/${pool}`;
