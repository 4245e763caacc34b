import { Client, type Pool } from "pg";

const CHANNEL = "holdfast_wake";
/** At most twenty notifications a second, whatever happens: a commit with one takes a lock of the whole cluster. */
export const NOTIFY_EVERY_MS = 50;
const RECONNECT_MS = 1_000;
/** A notification carries at most 8,000 bytes: https://www.postgresql.org/docs/current/sql-notify.html */
const SESSIONS_PER_NOTIFICATION = 150;

/** What copies of the control plane tell each other: that jobs may be ready, and for which sessions there is news. */
export class Notifications {
  private untold = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private listener: Client | undefined;
  private reconnectTimer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly database: Pool,
    /** A direct connection: listening does not work through a pooler in transaction mode. */
    private readonly listenUrl: string,
    private readonly heard: (sessions: readonly string[]) => void,
  ) {}

  start(): void {
    void this.listen();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.reconnectTimer);
    await this.listener?.end().catch(() => undefined);
  }

  /** Every copy is told, this one too, soon: that jobs may be ready and, where one is given, of news for a session. */
  tell(sessionId = ""): void {
    this.untold.add(sessionId);
    if (!this.timer) this.notify();
  }

  private notify(): void {
    const told = [...this.untold].slice(0, SESSIONS_PER_NOTIFICATION);
    for (const sessionId of told) this.untold.delete(sessionId);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.untold.size > 0) this.notify();
    }, NOTIFY_EVERY_MS);
    this.database.query("select pg_notify($1, $2)", [CHANNEL, told.join(",")]).catch(() => undefined);
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
    client.on("notification", ({ payload = "" }) => this.heard(payload.split(",").filter(Boolean)));
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
    } catch {
      await client.end().catch(() => undefined);
    }
  }
}
