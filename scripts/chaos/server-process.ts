import { readFileSync } from "node:fs";
import { Program, type ProgramProps } from "./program";
import { until } from "./until";

const START_DEADLINE_MS = 300_000;
/** Characters of the log that say why a server did not start. */
const LOG_TAIL = 4_000;

/** A server on the loopback interface, as a process of its own; where it ends by itself it is not started again. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Ends it in order, if it can. */
  stop(): Promise<void>;
}

export interface ServerProcessProps extends Omit<ProgramProps, "restarts" | "onLine" | "onExit"> {
  /** In messages. */
  readonly name: string;
  /** Told of the process before it is waited for. */
  readonly adopt?: (pid: number) => Promise<void>;
}

/** Where a server listens, of the line of its log that says so; undefined of any other. */
export function listeningUrl(line: string): string | undefined {
  return /"url":"(http:[^"]+)","msg":"listening"/.exec(line)?.[1];
}

/** Starts a program that says where it listens, and waits until it has. @throws Error with its log, where it ends or does not */
export async function startServerProcess({ name, adopt, ...program }: ServerProcessProps): Promise<ServerProcess> {
  let url: string | undefined;
  let hasEnded = false;
  const server = new Program({
    ...program,
    restarts: false,
    onLine: (line) => {
      url ??= listeningUrl(line);
    },
    onExit: () => {
      hasEnded = true;
    },
  });
  try {
    const { pid } = server;
    if (pid !== undefined) await adopt?.(pid);
    const seen = await until("it listens", START_DEADLINE_MS, async () =>
      hasEnded || url !== undefined ? { url } : undefined,
    );
    if (pid === undefined || seen.url === undefined) throw new Error("it ended");
    return { url: seen.url, pid, stop: () => server.stop() };
  } catch (cause) {
    await server.stop();
    const log = readFileSync(program.logFile, "utf8").slice(-LOG_TAIL).trim();
    throw new Error(`${name} did not start: ${(cause as Error).message}\n${log}`, { cause });
  }
}
