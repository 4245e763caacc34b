import { table } from "../operator/table";
import type { Progress } from "./shop";

/** What there is to see of a fleet at one moment. */
export interface FleetView {
  readonly workers: readonly {
    readonly workerId: string;
    readonly state: string;
    readonly jobs: number;
    readonly slots: number;
  }[];
  readonly job: { readonly name: string; readonly state: string; readonly phase: string; readonly worker: string };
  readonly progress: Progress;
}

export interface Screen {
  show(view: FleetView): void;
  /** A line that stays. */
  say(text: string): void;
  /** What was shown is the last of its kind: it stays, and what is said comes below it. */
  settle(): void;
}

/** Without a terminal a line is written when the job's state changes, and this often. */
const LINE_EVERY_MS = 5_000;

/** A table that is redrawn on a terminal, lines elsewhere. */
export function screen(stream: NodeJS.WriteStream, now: () => number = () => performance.now()): Screen {
  return stream.isTTY ? new RedrawnTable(stream) : new PlainLines(stream, now);
}

class RedrawnTable implements Screen {
  private drawn: readonly string[] = [];

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(view: FleetView): void {
    this.redraw(["", ...tables(view).split("\n")], "");
  }

  say(text: string): void {
    this.redraw(this.drawn, `${text}\n`);
  }

  settle(): void {
    this.drawn = [];
  }

  private redraw(lines: readonly string[], before: string): void {
    const up = this.drawn.length > 0 ? `\u001b[${this.drawn.length}A\u001b[J` : "";
    const narrow = lines.map((line) => line.slice(0, Math.max(20, this.stream.columns - 1)));
    this.stream.write(`${up}${before}${narrow.map((line) => `${line}\n`).join("")}`);
    this.drawn = narrow;
  }
}

class PlainLines implements Screen {
  private last = "";
  private writtenAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly stream: NodeJS.WritableStream,
    private readonly now: () => number,
  ) {}

  show({ job, progress, workers }: FleetView): void {
    const where = job.worker === "" ? "" : ` on ${job.worker}`;
    const state = `job ${job.name}: ${[job.state, job.phase].filter(Boolean).join(", ")}${where}`;
    const healthy = workers.filter((worker) => worker.state === "healthy").length;
    if (state === this.last && this.now() - this.writtenAt < LINE_EVERY_MS) return;
    this.last = state;
    this.writtenAt = this.now();
    const { rowsIn, rowsOut, lagMs } = progress;
    this.say(
      `${state}; ${rowsIn} rows in, ${rowsOut} out, lag ${seconds(lagMs)}; ${healthy} of ${workers.length} workers healthy`,
    );
  }

  say(text: string): void {
    this.stream.write(`${text}\n`);
  }

  settle(): void {}
}

function tables({ workers, job, progress }: FleetView): string {
  const { rowsIn, rowsOut, lagMs } = progress;
  const behind = `${Math.max(0, rowsIn - rowsOut)}`;
  return [
    table(
      ["WORKER", "STATE", "JOBS", "SLOTS"],
      workers.map(({ workerId, state, jobs, slots }) => [workerId, state, `${jobs}`, `${slots}`]),
    ),
    "",
    table(
      ["JOB", "STATE", "PHASE", "WORKER", "ROWS IN", "ROWS OUT", "BEHIND", "LAG"],
      [[job.name, job.state, job.phase, job.worker, `${rowsIn}`, `${rowsOut}`, behind, seconds(lagMs)]],
    ),
  ].join("\n");
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
