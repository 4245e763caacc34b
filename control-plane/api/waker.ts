import { Client, type Pool } from "pg";

const CHANNEL = "holdfast_wake";
/** At most twenty notifications a second, whatever happens: a commit with one takes a lock of the whole cluster. */
const NOTIFY_EVERY_MS = 50;
const RECONNECT_MS = 1_000;
/** A notification carries at most 8,000 bytes: https://www.postgresql.org/docs/current/sql-notify.html */
const SESSIONS_PER_NOTIFICATION = 150;

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
  private listener: Client | undefined;
  private notifyTimer: NodeJS.Timeout | undefined;
  private lookTimer: NodeJS.Timeout | undefined;
  private reconnectTimer: NodeJS.Timeout | undefined;
  private touched = new Set<string>();
  private looking = false;
  /** Something became ready while a look was under way, which may have come too early to see it. */
  private lookAgain = false;
  /** What the last look found ready, by deployment and pool; undefined before the first. */
  private ready: ReadonlyMap<string, number> | undefined;
  /** Nothing is parked any more: what waited is to be answered as it is. */
  stopped = false;

  constructor(
    private readonly database: Pool,
    /** A direct connection: listening does not work through a pooler in transaction mode. */
    private readonly listenUrl: string,
    private readonly lookEveryMs = 1_000,
  ) {}

  get size(): number {
    return this.parked.size;
  }

  start(): void {
    void this.listen();
    this.lookTimer = setInterval(() => void this.look(), this.lookEveryMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.lookTimer);
    clearTimeout(this.notifyTimer);
    clearTimeout(this.reconnectTimer);
    for (const { wake } of this.parked) wake();
    await this.listener?.end().catch(() => undefined);
  }

  /** Whether there may be work: a claim that is told there is none may park and will be woken. */
  mayHaveWork({ deploymentId, pool }: Pick<Parked, "deploymentId" | "pool">): boolean {
    return this.ready?.has(keyOf(deploymentId, pool)) ?? true;
  }

  /** Waits until woken, until the time is up, or until the asker has gone. */
  async park(who: Omit<Parked, "wake">, waitMs: number, gone: AbortSignal): Promise<"woken" | "over"> {
    if (this.stopped || gone.aborted || waitMs <= 0) return "over";
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

  /** Jobs may have become ready: wakes claims here, and soon those of other copies. */
  jobsReady(): void {
    void this.look();
    this.notifyOthers("");
  }

  /** Something is to be told to a session: its parked claim is answered at once, wherever it is parked. */
  sessionTouched(sessionId: string): void {
    this.wakeSession(sessionId);
    this.notifyOthers(sessionId);
  }

  private wakeSession(sessionId: string): void {
    for (const parked of this.parked) if (parked.sessionId === sessionId) parked.wake();
  }

  /** Wakes as many claims as jobs are ready, those that have waited longest first. */
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
      const left = new Map(this.ready);
      for (const parked of this.parked) {
        if (left.size === 0) break;
        const key = keyOf(parked.deploymentId, parked.pool);
        const ready = left.get(key);
        if (ready === undefined) continue;
        if (ready > 1) left.set(key, ready - 1);
        else left.delete(key);
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

  private notifyOthers(sessionId: string): void {
    this.touched.add(sessionId);
    this.notifyTimer ??= setTimeout(() => {
      this.notifyTimer = undefined;
      const all = [...this.touched];
      const touched = all.slice(0, SESSIONS_PER_NOTIFICATION);
      this.touched = new Set();
      for (const later of all.slice(SESSIONS_PER_NOTIFICATION)) this.notifyOthers(later);
      this.database.query("select pg_notify($1, $2)", [CHANNEL, touched.join(",")]).catch(() => undefined);
    }, NOTIFY_EVERY_MS);
  }

  private async listen(): Promise<void> {
    if (this.stopped) return;
    const client = new Client({
      connectionString: this.listenUrl,
      application_name: "holdfast listener",
      keepAlive: true,
    });
    this.listener = client;
    client.on("error", () => undefined);
    client.on("end", () => {
      if (!this.stopped) this.reconnectTimer = setTimeout(() => void this.listen(), RECONNECT_MS);
    });
    client.on("notification", ({ payload }) => {
      for (const sessionId of payload?.split(",") ?? []) if (sessionId) this.wakeSession(sessionId);
      void this.look();
    });
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
    } catch {
      await client.end().catch(() => undefined);
    }
  }
}

const keyOf = (deploymentId: string, pool: string): string => `${deploymentId}/${pool}`;
