import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { JobRef } from "../../control-plane/protocol";
import { run } from "../host/child";
import { writeFileAtomic } from "../host/files";
import { secretsOf } from "./daemon/daemon-secrets";
import { environmentText, unitArguments, unitName } from "./daemon/daemon-unit";
import type { DaemonSecrets, StartRequest } from "./guard-protocol";

const SYSTEMCTL_TIMEOUT_MS = 30_000;

export interface GuardedUnitsProps {
  /** In memory, readable by root alone: holds a daemon's credentials while it is being started. */
  readonly directory: string;
  /** What runs a job that starts now. */
  readonly daemon: () => string;
}

/**
 * The daemons' units, as far as they take the rights of root. Whoever asked for a start may end before it is over, and systemd
 * knows of the unit only late in it: what is asked afterwards waits for it.
 */
export class GuardedUnits {
  private readonly known = new Map<string, readonly string[]>();
  /** Starts that were asked for and are not over, with their units. */
  private readonly starts = new Map<Promise<void>, string>();

  constructor(private readonly props: GuardedUnitsProps) {}

  /** @param admitted rejects where the daemon may not be started. */
  async start(request: StartRequest, admitted: () => Promise<void>): Promise<void> {
    const start = (async () => {
      await admitted();
      this.known.set(unitName(request), secretsOf(request));
      await startUnit(request, this.props);
    })();
    this.starts.set(start, unitName(request));
    await start.finally(() => this.starts.delete(start));
  }

  async signal(ref: JobRef, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await systemctl("kill", `--signal=${signal}`, unitName(ref));
  }

  /** Whether it is being started, runs, has ended, has failed or was never there; also while it waits for its turn in the machine's stop. */
  async forget(ref: JobRef): Promise<void> {
    const unit = unitName(ref);
    await this.startsOver((started) => started === unit);
    for (const command of [["stop", "--job-mode=ignore-dependencies"], ["reset-failed"]]) {
      await systemctl(...command, unit).catch(async (error) => {
        if ((await systemctl("show", "--value", "--property=LoadState", unit)).trim() !== "not-found") throw error;
      });
    }
    this.known.delete(unit);
  }

  /** What no log may show of the daemons that were started here; of each the unit is there by now, if it ever will be. */
  async secrets(): Promise<DaemonSecrets> {
    await this.startsOver(() => true);
    return Object.fromEntries(this.known);
  }

  private async startsOver(concerned: (unit: string) => boolean): Promise<void> {
    const starts = [...this.starts].filter(([, unit]) => concerned(unit)).map(([start]) => start);
    await Promise.allSettled(starts);
  }
}

async function startUnit(request: StartRequest, { directory, daemon }: GuardedUnitsProps): Promise<void> {
  const unit = unitName(request);
  const written: string[] = [];
  const write = async (name: string, content: string) => {
    const path = join(directory, `${unit}.${name}`);
    written.push(path);
    await writeFileAtomic(path, content, 0o400);
    return path;
  };
  try {
    const credentials: Record<string, string> = {};
    const variables: Record<string, string> = { ...request.variables };
    for (const [name, content] of Object.entries(request.files)) {
      credentials[name] = await write(name, content);
      variables[name] = `/run/credentials/${unit}/${name}`;
    }
    const environmentFile = await write("environment", environmentText(variables));
    const { bound, limits } = request;
    const args = unitArguments({ ref: request, bound, limits, environmentFile, credentials, command: [daemon()] });
    await run("systemd-run", args, { timeoutMs: SYSTEMCTL_TIMEOUT_MS });
  } finally {
    // systemd has read them, or never will.
    for (const path of written) await rm(path, { force: true });
  }
}

const systemctl = (...args: string[]) => run("systemctl", args, { timeoutMs: SYSTEMCTL_TIMEOUT_MS });
