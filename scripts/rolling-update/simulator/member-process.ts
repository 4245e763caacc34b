import { type ChildProcess, spawn } from "node:child_process";

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

  /** It keeps its connections and answers nothing, until it goes on. */
  hold(): void {
    this.#child?.kill("SIGSTOP");
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
