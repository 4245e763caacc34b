import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";

export interface ProgramProps {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Whether it is started again when it has ended. @default true */
  readonly restarts?: boolean;
  readonly onLine?: (line: string) => void;
  readonly onExit?: () => void;
}

/** As a service manager waits before it starts what has ended. */
const RESTART_MS = 1_000;
/** What does not end when it is asked to is ended. */
const STOP_PATIENCE_MS = 90_000;

/** A program of Node.js that is looked after as by a service manager: what it prints is kept, and what ends is started again. */
export class Program {
  private child: ChildProcess | undefined;
  private ended: Promise<void> = Promise.resolve();
  private wanted = true;
  private restart: NodeJS.Timeout | undefined;
  starts = 0;

  constructor(private readonly props: ProgramProps) {
    this.start();
  }

  /** Undefined between an end and the next start. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.child?.kill(name);
  }

  /** Ends it for good, in order if it can. */
  async stop(): Promise<void> {
    this.wanted = false;
    clearTimeout(this.restart);
    this.signal("SIGCONT");
    this.signal("SIGTERM");
    const giveUp = setTimeout(() => this.signal("SIGKILL"), STOP_PATIENCE_MS);
    await this.ended;
    clearTimeout(giveUp);
  }

  /** Ends it for good, at once. */
  async kill(): Promise<void> {
    this.wanted = false;
    clearTimeout(this.restart);
    this.signal("SIGKILL");
    await this.ended;
  }

  private start(): void {
    const { args, cwd, environment = {}, logFile, restarts = true, onLine, onExit } = this.props;
    this.starts += 1;
    const child = spawn(process.execPath, args, {
      cwd,
      env: { PATH: process.env["PATH"], ...environment },
      // The terminal's Ctrl-C is for the run, which ends its parts in order.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    const log = createWriteStream(logFile, { flags: "a", mode: 0o600 });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    if (onLine) createInterface({ input: child.stdout }).on("line", onLine);
    this.ended = new Promise((done) => {
      child.once("error", ({ message }) => log.end(message, done));
      child.once("close", () => log.end(done));
    });
    void this.ended.then(() => {
      this.child = undefined;
      onExit?.();
      if (this.wanted && restarts) this.restart = setTimeout(() => this.start(), RESTART_MS);
    });
  }
}
