import { Agent, request as httpRequest } from "node:http";
import { text } from "node:stream/consumers";

/** The control API of one daemon: dbmazz's paths and shapes, on the loopback interface. */

export interface Health {
  readonly status: "serving" | "not_serving";
  readonly stage: "init" | "setup" | "snapshot" | "cdc";
  readonly stage_detail: string;
  readonly error_detail: string;
}

export interface CdcStatus {
  readonly state: "running" | "paused" | "draining" | "stopped";
  /** 64 bits. */
  readonly confirmed_lsn: bigint;
  readonly pending_events: number;
  readonly slot_name: string;
  readonly tables: readonly string[];
  readonly snapshot_active: boolean;
  readonly snapshot_chunks_total: number;
  readonly snapshot_chunks_done: number;
}

export interface Figures {
  readonly events_per_second: number;
  readonly lag_bytes: number;
  readonly memory_bytes: number;
  readonly total_events_processed: number;
  readonly cpu_millicores: number;
  readonly replication_lag_ms: number;
}

export interface DaemonApi {
  health(): Promise<Health>;
  status(): Promise<CdcStatus>;
  figures(): Promise<Figures | undefined>;
  /** False when the daemon refuses. */
  pause(): Promise<boolean>;
  /** False when it is not paused. */
  resume(): Promise<boolean>;
  /** Ends the daemon; with `keepSlot` false it also removes what it keeps in the source. */
  stop(keepSlot: boolean): Promise<boolean>;
}

const TIMEOUT_MS = 5_000;

/** A connection to each daemon stays open from one look to the next. */
const LOOKS = new Agent({ keepAlive: true, maxFreeSockets: 1 });

/**
 * A client of the API on `port`. Every call has a deadline of five seconds.
 *
 * `drain` is not offered: dbmazz loses its slot by it. A stop always carries its body and content type, without which it
 * would lose the slot as well.
 */
export function daemonApi(port: number): DaemonApi {
  // Not fetch, which takes twice the processor's time: there are three looks a second at each of up to hundreds of daemons.
  const request = (path: string, body?: object): Promise<string> =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const options = {
        host: "127.0.0.1",
        port,
        path: `/api/v1/${path}`,
        signal,
        ...(body
          ? { method: "POST", agent: false as const, headers: { "content-type": "application/json" } }
          : { agent: LOOKS }),
      };
      const outgoing = httpRequest(options, (answer) => {
        const taken = (content: string) =>
          answer.statusCode === 200 ? resolve(content) : reject(new Error(`${path}: ${answer.statusCode}`));
        text(answer).then(taken, reject);
      });
      outgoing.on("error", (error) => {
        // The daemon let go of the open connection just when the look began.
        if (outgoing.reusedSocket && !signal.aborted) resolve(request(path, body));
        else reject(error);
      });
      outgoing.end(body && JSON.stringify(body));
    });
  const command = async (path: string, body: object) => JSON.parse(await request(path, body)).success === true;
  return {
    health: async () => checked("health", JSON.parse(await request("health")), ["status", "stage"]),
    status: async () => {
      // A double keeps 53 of its bits.
      const answer = (await request("cdc/status")).replace(/("confirmed_lsn"\s*:\s*)(\d+)/, '$1"$2"');
      const status = checked<CdcStatus>("status", JSON.parse(answer), ["state", "slot_name"]);
      if (!Array.isArray(status.tables)) throw new Error("status: tables is not a list");
      return { ...status, confirmed_lsn: BigInt(status.confirmed_lsn) };
    },
    figures: async () => JSON.parse(await request("cdc/metrics?samples=1&interval_ms=1000"))[0],
    pause: () => command("cdc/pause", {}),
    resume: () => command("cdc/resume", {}),
    stop: (keepSlot) => command("cdc/stop", { skip_slot_cleanup: keepSlot }),
  };
}

function checked<T>(what: string, value: Record<string, unknown> | null, texts: readonly string[]): T {
  for (const key of texts) {
    if (typeof value?.[key] !== "string") throw new Error(`${what}: ${key} is not a text`);
  }
  return value as T;
}

/** An LSN as PostgreSQL writes it: two hexadecimal halves. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}
