import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fieldsFromState } from "../../proc-stat";

/** A program that a node runs. */
export interface MemberProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  /** Ends what the program leaves behind when it is killed. */
  readonly afterKill?: () => void;
}

const KEPT_OUTPUT = 8_000;
/** Between two looks at a process that was told to stand still. */
const LOOK_MS = 5;

/** The member of one node, as a plain process of this machine: started, stopped cleanly, killed, held still. */
export class MemberProcess {
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #output = "";

  constructor(private readonly program: MemberProgram) {
    process.once("exit", this.#killNow);
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** The end of what it printed. */
  get output(): string {
    return this.#output;
  }

  start(): void {
    if (this.#child) return;
    const { command, args, env = {}, uid, gid } = this.program;
    const child = spawn(command, [...args], {
      env: { PATH: process.env.PATH, LANG: "C", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      cwd: "/",
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    const keep = (text: string) => {
      this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const end = () => {
        if (this.#child === child) this.#child = undefined;
        resolve();
      };
      child.once("exit", end);
      child.once("error", (error) => {
        keep(`${error.message}\n`);
        end();
      });
    });
  }

  /** As a service manager stops it: a request, and as long as it takes. */
  async stop(): Promise<void> {
    this.#child?.kill("SIGTERM");
    await this.#ended;
  }

  /** As a machine that is lost: no word to anybody. */
  async kill(): Promise<void> {
    this.#killNow();
    await this.#ended;
  }

  /** It keeps its connections and answers nothing, until it goes on. Resolves when its last thread stands still: the signal is one thread's. */
  async hold(): Promise<void> {
    const child = this.#child;
    child?.kill("SIGSTOP");
    while (child && child === this.#child && runs(child.pid)) await sleep(LOOK_MS);
  }

  goOn(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Killed, and no longer ended together with this process. */
  async dispose(): Promise<void> {
    process.off("exit", this.#killNow);
    await this.kill();
  }

  readonly #killNow = (): void => {
    this.#child?.kill("SIGKILL");
    this.program.afterKill?.();
  };
}

/** Whether a thread of a process is not stopped, as Linux tells it. */
function runs(pid: number | undefined): boolean {
  const tasks = `/proc/${pid}/task`;
  return (unlessGone(() => readdirSync(tasks)) ?? []).some((thread) => {
    const stat = unlessGone(() => readFileSync(`${tasks}/${thread}/stat`, "utf8"));
    return stat !== undefined && fieldsFromState(stat)[0] !== "T";
  });
}

/** Undefined where it has ended meanwhile, or this is no Linux. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
