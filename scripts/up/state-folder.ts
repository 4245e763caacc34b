/** The folder in which a local fleet lives on from one start to the next. */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import * as z from "zod";
import { freePort } from "../../control-plane/store/free-port";
import { endLeftCluster } from "../../control-plane/store/private-cluster";
import { identify, isAlive, type ProcessIdentity } from "./process-identity";

const Identity = z.object({ pid: z.int(), start: z.string() });

/** Who runs the fleet now, or ran it last. */
const Processes = z.object({ fleet: Identity, agents: z.record(z.string(), Identity) });

/** Kept, so that what outlives a fleet that was killed finds its way when the next start comes. */
const Ports = z.object({ postgres: z.int(), controlPlane: z.int() });
export type Ports = z.output<typeof Ports>;

export class StateFolder {
  private processes: { fleet: ProcessIdentity; agents: Record<string, ProcessIdentity> };

  private constructor(
    readonly path: string,
    /** An earlier life ended without having stopped its fleet. */
    readonly wasKilled: boolean,
  ) {
    const self = identify(process.pid);
    if (!self) throw new Error("this process cannot be found among those that run");
    this.processes = { fleet: self, agents: {} };
    this.writeProcesses();
  }

  /**
   * Takes the folder, and ends the agents and the server that a killed fleet left in it. Their daemons go on until the lease is over, and
   * the next agents take them over.
   *
   * @throws Error when another fleet runs in it, or when that cannot be told.
   */
  static async open(path: string): Promise<StateFolder> {
    const folder = resolve(path);
    makeFolder(folder);
    const before = readJson(join(folder, "processes.json"), Processes);
    if (before && isAlive(before.fleet)) {
      throw new Error(
        `process ${before.fleet.pid} runs a local fleet in ${folder}: stop it first, or choose another folder with --state`,
      );
    }
    for (const agent of Object.values(before?.agents ?? {})) if (isAlive(agent)) process.kill(agent.pid, "SIGKILL");
    await endLeftCluster(join(folder, "postgres"));
    return new StateFolder(folder, before !== undefined);
  }

  file(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  folder(...names: readonly string[]): string {
    const folder = this.file(...names);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  /** Content of a file that only its owner may read; made when it is missing. */
  secret(name: string, make: () => string): string {
    const file = this.file(name);
    if (!existsSync(file)) writeFileSync(file, `${make()}\n`, { mode: 0o600 });
    return readFileSync(file, "utf8").trim();
  }

  /** The keyring of the control plane, in its environment's form. */
  get keyring(): string {
    return this.secret("keyring", () => `local:${randomBytes(32).toString("hex")}`);
  }

  /** The last fleet's ports; a free one for each that another program has taken since. */
  async ports(): Promise<Ports> {
    const file = this.file("ports.json");
    const known = readJson(file, Ports);
    const ports = { postgres: await freePort(known?.postgres), controlPlane: await freePort(known?.controlPlane) };
    writeFileSync(file, JSON.stringify(ports));
    return ports;
  }

  /** Notes who an agent is, so that it is found if this process is killed. */
  noteAgent(name: string, pid: number): void {
    const identity = identify(pid);
    if (identity) this.processes.agents[name] = identity;
    else delete this.processes.agents[name];
    this.writeProcesses();
  }

  /** The fleet has stopped in order. */
  release(): void {
    rmSync(this.file("processes.json"), { force: true });
  }

  private writeProcesses(): void {
    writeFileSync(this.file("processes.json"), JSON.stringify(this.processes));
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    // The server's user has to pass, and nobody needs to look; each secret is closed by itself.
    chmodSync(folder, 0o711);
  } catch (error) {
    throw new Error(`it cannot be a folder there: ${(error as Error).message}; choose another place with --state`);
  }
}

/**
 * `.holdfast` in the working directory; as root in a place that PostgreSQL's own user can reach, where it cannot reach the working
 * directory.
 */
export function defaultStateFolder(workingDirectory: string): string {
  const isReachable = (folder: string): boolean =>
    (statSync(folder).mode & 0o001) !== 0 && (folder === dirname(folder) || isReachable(dirname(folder)));
  if (process.getuid?.() !== 0 || isReachable(workingDirectory)) return join(workingDirectory, ".holdfast");
  return "/var/lib/holdfast/local-fleet";
}

/** @throws Error when the file is there and cannot be read. */
function readJson<Schema extends z.ZodType>(file: string, schema: Schema): z.output<Schema> | undefined {
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    // Cut off by a kill, or of another version: as good as missing.
    return undefined;
  }
}
