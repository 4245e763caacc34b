import { distance } from "fastest-levenshtein";
import { unusable } from "./connection";
import { SetupError } from "./failure";
import { parseTableName, type TableName } from "./identifier";

/** A job, as its environment describes it. */
export interface DaemonConfiguration {
  readonly source: {
    readonly url: string;
    readonly slotName: string;
    readonly publicationName: string;
    readonly tables: readonly TableName[];
  };
  readonly sink: { readonly url: string; readonly schema: string };
  /** What has arrived is written when it counts this many changes, or is this old. */
  readonly flush: { readonly changes: number; readonly intervalMs: number };
  readonly snapshot: {
    readonly enabled: boolean;
    /** End after the snapshot. */
    readonly only: boolean;
    readonly chunkRows: number;
    readonly parallelTables: number;
  };
  /** Of the control API, on the loopback interface; 0 picks a free one, which the log names. */
  readonly controlPort: number;
  /** The job's fencing token; a daemon with a lower one than the sink has seen may not write. */
  readonly fence: bigint;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Every variable of a job. Those of other engines are accepted, so that one template serves all, and mean nothing here. */
const OURS = [
  "SOURCE_URL",
  "SOURCE_TYPE",
  "SOURCE_SLOT_NAME",
  "SOURCE_PUBLICATION_NAME",
  "TABLES",
  "SINK_TYPE",
  "SINK_URL",
  "SINK_DATABASE",
  "SINK_SCHEMA",
  "SINK_USER",
  "SINK_PASSWORD",
  "FLUSH_SIZE",
  "FLUSH_INTERVAL_MS",
  "DO_SNAPSHOT",
  "SNAPSHOT_CHUNK_SIZE",
  "SNAPSHOT_PARALLEL_WORKERS",
  "INITIAL_SNAPSHOT_ONLY",
  "DBMAZZ_CONTROL_PORT",
  "HOLDFAST_FENCE",
];
const OTHER_ENGINES = /^(MYSQL_(SERVER_ID|GTID_ENABLED|TLS_SKIP_VERIFY)|SINK_PORT|SINK_SNOWFLAKE_[A-Z_]+)$/;
const RESERVED_PREFIX = /^(SOURCE|SINK|FLUSH|SNAPSHOT|MYSQL|DBMAZZ)_/;

/** https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION */
const SLOT_NAME = /^[a-z0-9_]{1,63}$/;
const LOWER_CASE_NAME = /^[a-z_][a-z0-9_]{0,62}$/;
const POSTGRES_PROTOCOL = /^postgres(ql)?:$/;
const MAX_FENCE = 2n ** 63n - 1n;

/** @throws SetupError that names every variable at fault, one per line, and never a value that may hold a secret. */
export function parseEnvironment(env: Environment): DaemonConfiguration {
  const faults: string[] = [];
  const fault = (name: string, problem: string) => void faults.push(`${name}: ${problem}`);

  const text = (name: string, fallback?: string): string => {
    const value = env[name] || fallback;
    if (value === undefined) fault(name, "is required");
    return value ?? "";
  };
  const oneOf = (name: string, fallback: string, allowed: readonly string[], why: string) => {
    const value = text(name, fallback).toLowerCase();
    if (!allowed.includes(value)) fault(name, `${JSON.stringify(value)} is not one of ${allowed.join(", ")}: ${why}`);
  };
  const named = (name: string, fallback: string, pattern: RegExp, rule: string): string => {
    const value = text(name, fallback);
    if (!pattern.test(value)) fault(name, `${JSON.stringify(value)} must be ${rule}`);
    return value;
  };
  const flag = (name: string): boolean => {
    const value = text(name, "false").toLowerCase();
    if (value !== "true" && value !== "false") fault(name, `${JSON.stringify(value)} must be true or false`);
    return value === "true";
  };
  const whole = (name: string, fallback: number, min: number, max: number): number => {
    const value = text(name, `${fallback}`);
    const number = /^[0-9]{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) {
      fault(name, `${JSON.stringify(value)} must be a whole number from ${min} to ${max}`);
    }
    return number;
  };
  const url = (name: string): URL | undefined => {
    const value = text(name);
    if (value === "") return undefined;
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    if (!parsed || !POSTGRES_PROTOCOL.test(parsed.protocol) || parsed.hostname === "") {
      fault(name, "must be a URL of the form postgres://user:password@host:5432/database");
      return undefined;
    }
    if (!isDecodable(parsed)) {
      fault(name, "holds a % that encodes nothing: write %25 for it");
      return undefined;
    }
    const problem = unusable(parsed.href);
    if (problem !== undefined) fault(name, `is of no use: ${problem}`);
    return parsed;
  };

  for (const name of Object.keys(env)) {
    if (!RESERVED_PREFIX.test(name) || OURS.includes(name) || OTHER_ENGINES.test(name)) continue;
    const nearest = OURS.toSorted((a, b) => distance(a, name) - distance(b, name))[0] ?? "";
    fault(name, `is not a variable of this daemon${distance(nearest, name) <= 3 ? `; did you mean ${nearest}?` : ""}`);
  }

  oneOf("SOURCE_TYPE", "postgres", ["postgres", "postgresql"], "this daemon reads PostgreSQL only");
  oneOf("SINK_TYPE", "postgres", ["postgres", "postgresql"], "this daemon writes PostgreSQL only");
  const source = url("SOURCE_URL");
  source?.searchParams.delete("replication");
  if (source && source.pathname.length < 2) fault("SOURCE_URL", "must name the database in its path");
  const sink = url("SINK_URL");
  if (sink) completeSink(sink, env, fault);

  const configuration: DaemonConfiguration = {
    source: {
      url: source?.href ?? "",
      slotName: named("SOURCE_SLOT_NAME", "dbmazz_slot", SLOT_NAME, "1 to 63 of a-z, 0-9 and _"),
      publicationName: named(
        "SOURCE_PUBLICATION_NAME",
        "dbmazz_pub",
        LOWER_CASE_NAME,
        "1 to 63 of a-z, 0-9 and _, not starting with a digit",
      ),
      tables: tables(text("TABLES"), fault),
    },
    sink: { url: sink?.href ?? "", schema: text("SINK_SCHEMA", "public") },
    flush: {
      changes: whole("FLUSH_SIZE", 10_000, 1, 1_000_000),
      intervalMs: whole("FLUSH_INTERVAL_MS", 5_000, 1, 600_000),
    },
    snapshot: {
      enabled: flag("DO_SNAPSHOT"),
      only: flag("INITIAL_SNAPSHOT_ONLY"),
      chunkRows: whole("SNAPSHOT_CHUNK_SIZE", 50_000, 1, 1_000_000),
      parallelTables: whole("SNAPSHOT_PARALLEL_WORKERS", 2, 1, 32),
    },
    controlPort: whole("DBMAZZ_CONTROL_PORT", 50_051, 0, 65_535),
    fence: fence(text("HOLDFAST_FENCE", "0"), fault),
  };
  const { enabled, only } = configuration.snapshot;
  if (only && !enabled) fault("INITIAL_SNAPSHOT_ONLY", "is true, but DO_SNAPSHOT is not");
  if (faults.length > 0) throw new SetupError(`the environment is not usable\n  ${faults.join("\n  ")}`);
  return configuration;
}

function isDecodable({ username, password, pathname }: URL): boolean {
  try {
    decodeURIComponent(username + password + pathname);
    return true;
  } catch {
    return false;
  }
}

type Fault = (name: string, problem: string) => void;

/** SINK_DATABASE, SINK_USER and SINK_PASSWORD complete the URL; they may not contradict it. */
function completeSink(url: URL, env: Environment, fault: Fault): void {
  const complete = (name: string, current: string, set: (value: string) => void) => {
    const value = env[name];
    if (!value) return;
    if (current === "") set(value);
    else if (current !== value) fault(name, "differs from what SINK_URL says; give it once");
  };
  complete("SINK_DATABASE", decodeURIComponent(url.pathname.slice(1)), (value) => {
    url.pathname = encodeURIComponent(value);
  });
  complete("SINK_USER", decodeURIComponent(url.username), (value) => {
    url.username = encodeURIComponent(value);
  });
  complete("SINK_PASSWORD", decodeURIComponent(url.password), (value) => {
    url.password = encodeURIComponent(value);
  });
  if (url.pathname.length < 2) fault("SINK_DATABASE", "is required, here or in the path of SINK_URL");
}

function tables(list: string, fault: Fault): TableName[] {
  if (list === "") return [];
  const parsed: TableName[] = [];
  for (const label of list.split(",").map((item) => item.trim())) {
    const name = parseTableName(label);
    const twin = parsed.find(({ table }) => table === name?.table);
    if (!name) fault("TABLES", `${JSON.stringify(label)} is neither "table" nor "schema.table"`);
    else if (twin) fault("TABLES", `${twin.label} and ${label} would share the sink's table ${name.table}`);
    else parsed.push(name);
  }
  return parsed;
}

function fence(value: string, fault: Fault): bigint {
  const number = /^[0-9]{1,19}$/.test(value) ? BigInt(value) : MAX_FENCE + 1n;
  if (number > MAX_FENCE) fault("HOLDFAST_FENCE", `${JSON.stringify(value)} must be a whole number from 0 to 2^63 - 1`);
  return number;
}
