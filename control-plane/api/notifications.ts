import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Client, type Pool } from "pg";
import { connectionTo, type Patience } from "../store/database";

const CHANNEL = "holdfast_wake";
/** At most twenty notifications a second, whatever happens: a commit with one takes a lock of the whole cluster. */
export const NOTIFY_EVERY_MS = 50;
const RECONNECT_MS = 1_000;
/** A notification carries at most 8,000 bytes: https://www.postgresql.org/docs/current/sql-notify.html */
const SESSIONS_PER_NOTIFICATION = 150;

/** How long the database is waited for by whoever listens, and how often it is asked whether it is there. */
export interface ListenerPatience extends Patience {
  readonly askEveryMs: number;
}

/** Nothing else is sent on a connection that listens: a database that has vanished without a word would be listened to for hours. */
const PATIENCE: ListenerPatience = { connectMs: 10_000, answerMs: 5_000, askEveryMs: 5_000 };

/** Told what comes from other copies. */
export interface Hearer {
  /** Jobs may be ready, and there is news for these sessions. */
  readonly heard: (sessions: readonly string[]) => void;
  /** It is listened anew: what was told before, of whatever session, is not told again. */
  readonly missed: () => void;
}

/** What copies of the control plane tell each other: that jobs may be ready, and for which sessions there is news. */
export class Notifications {
  private readonly self = randomUUID();
  private untold = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  /** What is under way. */
  private telling: Promise<void> | undefined;
  private listener: Client | undefined;
  private reconnectTimer: NodeJS.Timeout | undefined;
  private stopped = false;
  private isOver = false;

  constructor(
    private readonly database: Pool,
    /** A direct connection: listening does not work through a pooler in transaction mode. */
    private readonly listenUrl: string,
    private readonly hearer: Hearer,
    private readonly patience = PATIENCE,
  ) {}

  start(): void {
    void this.listen();
  }

  /** Listens no longer, and still tells. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.reconnectTimer);
    const { listener } = this;
    if (!listener) return;
    const cut = setTimeout(() => listener.connection.stream.destroy(), this.patience.answerMs);
    await listener.end().catch(() => undefined);
    clearTimeout(cut);
  }

  /** The other copies are told, soon: that jobs may be ready and, where one is given, of news for a session. */
  tell(sessionId = ""): void {
    this.untold.add(sessionId);
    if (!this.timer) this.notify();
  }

  /** Tells at once what is not told yet, the last that there is: nobody else would. A database that fails leaves it untold. */
  async tellRest(): Promise<void> {
    await this.telling;
    this.isOver = true;
    clearTimeout(this.timer);
    try {
      while (this.untold.size > 0) await this.send(this.next());
    } catch {
      // The other copies find out by themselves: with their next look, and their workers' next heartbeats.
    }
  }

  private notify(): void {
    const told = this.next();
    this.timer = setTimeout(() => this.notifyAgain(), NOTIFY_EVERY_MS).unref();
    this.telling = this.send(told).catch(() => {
      if (this.isOver) return;
      for (const sessionId of told) this.untold.add(sessionId);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.notifyAgain(), RECONNECT_MS).unref();
    });
  }

  private next(): string[] {
    const told = [...this.untold].slice(0, SESSIONS_PER_NOTIFICATION);
    for (const sessionId of told) this.untold.delete(sessionId);
    return told;
  }

  private async send(told: readonly string[]): Promise<void> {
    await this.database.query("select pg_notify($1, $2)", [CHANNEL, [this.self, ...told].join(",")]);
  }

  private notifyAgain(): void {
    this.timer = undefined;
    if (this.untold.size > 0) this.notify();
  }

  private async listen(): Promise<void> {
    if (this.stopped) return;
    const { connectMs, answerMs, askEveryMs } = this.patience;
    const client = new Client({
      ...connectionTo(this.listenUrl, "holdfast listener"),
      connectionTimeoutMillis: connectMs,
      query_timeout: answerMs,
    });
    this.listener = client;
    client.on("error", () => undefined);
    client.on("end", () => {
      if (!this.stopped) this.reconnectTimer = setTimeout(() => void this.listen(), RECONNECT_MS);
    });
    client.on("notification", ({ payload = "" }) => {
      const [sender, ...sessions] = payload.split(",");
      if (sender !== this.self) this.hearer.heard(sessions.filter(Boolean));
    });
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.hearer.missed();
      for (;;) {
        await pause(askEveryMs, undefined, { ref: false });
        await client.query("select 1");
      }
    } catch {
      // Without an answer to a question, this ends the connection at once.
      await client.end().catch(() => undefined);
    }
  }
}
