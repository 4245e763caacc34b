import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../host/files";
import { type Log, reason } from "../../host/log";
import { sleep } from "../../host/waiting";
import { JOBS_SLICE } from "../paths";
import { withoutSecrets } from "../without-secrets";
import type { DaemonHost } from "./daemon-host";
import { boundFolder, capOutput } from "./daemon-output";
import { secretsOf } from "./daemon-secrets";
import { refOf, unitName } from "./daemon-unit";
import { followJournal, type JournalEntry } from "./journal";

export interface JobLogsProps {
  /** Gets a file per job, `dbmazz-<job>.log`. */
  readonly directory: string;
  /** Remembers how far the journal was read, for the agent's next life. */
  readonly cursorFile: string;
  /** @default "journalctl" */
  readonly journalctl?: string;
}

const RETRY_MS = 5_000;
/** How often it is written down how far the journal was read: what was read since is copied twice by the life after a crash. */
const NOTING_MS = 1_000;
/** A file that nobody wrote to for so long was shipped. */
const KEPT_MS = 24 * 3_600_000;
const MAX_BYTES = 1_024 ** 3;
const CLEANING_MS = 600_000;
/** Of daemons that have ended: some of their output may still be in the journal. */
const REMEMBERED_UNITS = 1_000;

/**
 * Copies what daemons write to the journal into a file per job, for the CloudWatch agent, which reads files. No secret of
 * a daemon is copied, and no credentials in a URL.
 */
export class JobLogs {
  /** By unit. */
  private readonly secrets = new Map<string, readonly string[]>();
  private readonly over: string[] = [];
  private known = () => {};
  private readonly survivorsKnown = new Promise<void>((resolve) => {
    this.known = resolve;
  });
  private cleanedAt = Number.NEGATIVE_INFINITY;
  private ended = new AbortController();
  private copied: Promise<void> = Promise.resolve();

  constructor(
    private readonly props: JobLogsProps,
    private readonly log: Log,
  ) {}

  /** The host, whose jobs' secrets are known from before their daemons can say them. */
  of(host: DaemonHost): DaemonHost {
    return {
      survivors: async () => {
        const alive = await host.survivors();
        for (const { record, secrets, ended } of alive) {
          this.secrets.set(unitName(record), secrets);
          void ended.then(() => this.retire(unitName(record)));
        }
        this.known();
        return alive;
      },
      start: async (launch) => {
        const unit = unitName(launch.record);
        this.secrets.set(unit, secretsOf(launch));
        try {
          const daemon = await host.start(launch);
          void daemon.ended.then(() => this.retire(unit));
          return daemon;
        } catch (error) {
          this.retire(unit);
          throw error;
        }
      },
    };
  }

  /** Copies from when it is known which daemons are left until {@link finish} or `end`, and what was said until then. */
  async followUntil<T>(end: Promise<T>): Promise<T> {
    this.ended = new AbortController();
    const { signal } = this.ended;
    const over = end.catch(() => {});
    this.copied = Promise.race([this.survivorsKnown, over]).then(() => this.follow(signal));
    try {
      return await end;
    } finally {
      await this.finish();
    }
  }

  /** Copies what was said until now, and ends; nothing where it is not followed. */
  async finish(): Promise<void> {
    this.ended.abort();
    await this.copied;
  }

  private async follow(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      try {
        await this.clean();
        await this.copy(ended);
      } catch (error) {
        this.log.warn("the jobs' output is not copied", { reason: reason(error) });
      }
      await sleep(RETRY_MS, ended);
    }
  }

  private async copy(ended: AbortSignal): Promise<void> {
    const { directory, cursorFile, journalctl } = this.props;
    await mkdir(directory, { recursive: true });
    const cursor = await readFile(cursorFile, "utf8").catch(() => undefined);
    let [read, noted, notedAt] = [cursor, cursor, Number.NEGATIVE_INFINITY];
    const note = async () => {
      if (read !== undefined && read !== noted) await writeFileAtomic(cursorFile, read, 0o600);
      [noted, notedAt] = [read, performance.now()];
    };
    try {
      for await (const entries of followJournal({ slice: JOBS_SLICE, cursor, ended, journalctl })) {
        await this.write(entries);
        read = entries.at(-1)?.cursor;
        if (performance.now() - notedAt >= NOTING_MS) await note();
        await this.clean();
      }
    } finally {
      await note();
    }
  }

  private async write(entries: readonly JournalEntry[]): Promise<void> {
    const texts = new Map<string, string>();
    for (const { unit, time, text } of entries) {
      const ref = refOf(unit);
      if (!ref) continue;
      const line = `${time.toISOString()} ${withoutSecrets(text, this.secrets.get(unit) ?? [])}\n`;
      texts.set(ref.jobId, (texts.get(ref.jobId) ?? "") + line);
    }
    const writing = [...texts].map(async ([jobId, text]) => {
      const path = join(this.props.directory, `dbmazz-${jobId}.log`);
      await appendFile(path, text, { mode: 0o600 });
      await capOutput(path);
    });
    await Promise.all(writing);
  }

  private async clean(): Promise<void> {
    if (performance.now() - this.cleanedAt < CLEANING_MS) return;
    this.cleanedAt = performance.now();
    await boundFolder(this.props.directory, { keptMs: KEPT_MS, maxBytes: MAX_BYTES });
  }

  private retire(unit: string): void {
    this.over.push(unit);
    const forgotten = this.over.length > REMEMBERED_UNITS ? this.over.shift() : undefined;
    if (forgotten) this.secrets.delete(forgotten);
  }
}
