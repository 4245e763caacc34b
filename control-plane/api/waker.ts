import { Client, type Pool } from "pg";

const CHANNEL = "holdfast_wake";
/** At most twenty notifications a second, whatever happens: a commit with one takes a lock of the whole cluster. */
const NOTIFY_EVERY_MS = 50;
const RECONNECT_MS = 1_000;

interface Parked {
  readonly deploymentId: string;
  readonly pool: string;
  readonly sessionId: string;
  readonly wake: () => void;
}

/**
 * Parked claims, and what wakes them: a job that becomes ready here, a notification from another copy, or the look that is taken once a
 * second for jobs whose time has come. A parked claim itself asks the database nothing.
 */
export class Waker {
  private readonly parked = new Set<Parked>();
  private listener: Client | undefined;
  private notifyTimer: NodeJS.Timeout | undefined;
  private lookTimer: NodeJS.Timeout | undefined;
  private reconnectTimer: NodeJS.Timeout | undefined;
  private touched = new Set<string>();
  private looking = false;
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

  /** Waits until woken, until the time is up, or until the asker has gone. */
  async park(who: Omit<Parked, "wake">, waitMs: number, gone: AbortSignal): Promise<void> {
    if (this.stopped || gone.aborted || waitMs <= 0) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        gone.removeEventListener("abort", wake);
        this.parked.delete(parked);
        resolve();
      };
      const parked: Parked = { ...who, wake };
      const timer = setTimeout(wake, waitMs);
      gone.addEventListener("abort", wake);
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
    if (this.looking || this.parked.size === 0) return;
    this.looking = true;
    try {
      const { rows } = await this.database.query<{ deployment_id: string; pool: string; ready: number }>(
        "select deployment_id, pool, count(*) as ready from ready_jobs where not_before <= now() group by deployment_id, pool",
      );
      for (const { deployment_id, pool, ready } of rows) {
        const waiting = [...this.parked].filter(
          (parked) => parked.deploymentId === deployment_id && parked.pool === pool,
        );
        for (const parked of waiting.slice(0, ready)) parked.wake();
      }
    } catch {
      // The next look, a second later, sees what this one missed.
    } finally {
      this.looking = false;
    }
  }

  private notifyOthers(sessionId: string): void {
    this.touched.add(sessionId);
    this.notifyTimer ??= setTimeout(() => {
      this.notifyTimer = undefined;
      const touched = [...this.touched].slice(0, 150);
      this.touched = new Set();
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
