import { createHash } from "node:crypto";
import {
  type Connection,
  type Grant,
  replicationNameOf,
  replicationSlotOf,
  SLOT_NAME,
  settingsOf,
} from "../../../control-plane/protocol";
import type { DaemonQuirks } from "./quirks";

/** A job that cannot be handed to a daemon: the message names every setting at fault, and never its value. */
export class JobSettingsError extends Error {
  override readonly name = "JobSettingsError";
}

/** What a daemon is started with, and by what it is known again. */
export interface DaemonEnvironment {
  /** The whole environment: nothing is inherited. Holds the credentials. */
  readonly variables: Readonly<Record<string, string>>;
  /** Contents of files, by the variable that is to hold the path. */
  readonly files: Readonly<Record<string, string>>;
  /** As `/status` names it. */
  readonly slotName: string;
  readonly tables: readonly string[];
  readonly flushIntervalMs: number;
  /** The process ends by itself once the tables are copied. */
  readonly snapshotOnly: boolean;
  /** The start may skip changes since the last checkpoint. */
  readonly gapPossible: boolean;
}

type Rule = (value: string) => boolean;

const whole =
  (min: number, max: number): Rule =>
  (value) =>
    /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max;
const flag: Rule = (value) => value === "true" || value === "false";
const text: Rule = (value) => value !== "" && !/[\n\0]/.test(value);

/**
 * Settings that a job or one of its connections may give, each under its variable's name. A daemon takes a bad number for
 * its default without a word, so they are checked here.
 */
const SETTINGS: Readonly<Record<string, Rule>> = {
  SOURCE_SLOT_NAME: (value) => SLOT_NAME.test(value),
  SOURCE_PUBLICATION_NAME: (value) => /^[a-z_][a-z0-9_]{0,62}$/.test(value),
  MYSQL_SERVER_ID: whole(1, 4_294_967_295),
  MYSQL_GTID_ENABLED: flag,
  MYSQL_TLS_SKIP_VERIFY: flag,
  SINK_PORT: whole(1, 65_535),
  SINK_DATABASE: text,
  SINK_SCHEMA: text,
  SINK_SNOWFLAKE_ACCOUNT: text,
  SINK_SNOWFLAKE_WAREHOUSE: text,
  SINK_SNOWFLAKE_ROLE: text,
  SINK_SNOWFLAKE_SOFT_DELETE: flag,
  SINK_SNOWFLAKE_MERGE_INTERVAL_MS: whole(1, 86_400_000),
  SINK_SNOWFLAKE_FLUSH_FILES: whole(1, 1_000_000),
  SINK_SNOWFLAKE_FLUSH_BYTES: whole(1, 1_099_511_627_776),
  FLUSH_SIZE: whole(1, 1_000_000),
  FLUSH_INTERVAL_MS: whole(1, 600_000),
  SNAPSHOT_CHUNK_SIZE: whole(1, 1_000_000),
  SNAPSHOT_PARALLEL_WORKERS: whole(1, 32),
  INITIAL_SNAPSHOT_ONLY: flag,
  RUST_LOG: (value) => /^[\w:=,-]{1,200}$/.test(value),
};

/** What dbmazz calls the slot of a MySQL source, which has none. */
export const MYSQL_SLOT = "mysql_source";

/** Leads a daemon to its private key. */
export const PRIVATE_KEY_FILE = "SINK_SNOWFLAKE_PRIVATE_KEY_PATH";

const DEFAULT_FLUSH_INTERVAL_MS = 5_000;

/** What no variable holds, or no URL. */
const UNUSABLE = /[\0\p{Surrogate}]/u;

/** Longest `name=value` that Linux gives a program: MAX_ARG_STRLEN of execve(2), less the NUL at its end. */
const LONGEST_VARIABLE = 131_071;

/** Of the job, by the variable that it goes into; settings have the variable's own name. */
const FIELDS: Readonly<Record<string, string>> = {
  SOURCE_URL: "source.url, user and password",
  TABLES: "tables",
  SINK_URL: "sink.url, user and password",
  SINK_DATABASE: "sink.url",
  SINK_USER: "sink.user",
  SINK_PASSWORD: "sink.password",
};

/**
 * The environment that makes a daemon run this job, complete: what a daemon would guess is always set.
 *
 * @param port of the daemon's control API.
 * @throws JobSettingsError
 */
export function daemonEnvironment(grant: Grant, port: number, quirks: DaemonQuirks): DaemonEnvironment {
  const { jobId, fence, resume, spec } = grant;
  const faults: string[] = [];
  const settings = settingsOf(spec);
  for (const [name, value] of Object.entries(settings)) {
    if (name === "sslmode") continue;
    if (!Object.hasOwn(SETTINGS, name)) faults.push(`${name} is not a setting of a job`);
    else if (!SETTINGS[name]?.(value)) faults.push(`${name} has a value that no daemon would take as it stands`);
  }
  const bad = spec.tables.filter((table) => table.trim() === "" || /[,\n\0]/.test(table));
  if (bad.length > 0)
    faults.push(`tables: ${bad.map((table) => JSON.stringify(table)).join(", ")} cannot be in a list`);
  for (const side of ["source", "sink"] as const) {
    if (!URL.canParse(spec[side].url)) faults.push(`${side}.url is not a URL`);
    else if (databaseOf(spec[side]) === undefined)
      faults.push(`${side}.url cannot be decoded: write %25 for a % that begins no escape`);
    for (const field of ["user", "password"] as const) {
      if (UNUSABLE.test(spec[side][field]))
        faults.push(`${side}.${field} holds a NUL or half of a character, which no daemon can be given: set another`);
    }
  }
  const privateKey = privateKeyOf(spec.sink);
  if (privateKey?.includes("ENCRYPTED")) {
    faults.push("sink.password holds an encrypted private key: decrypt it first, the control plane seals it anyway");
  }
  refuse(faults);

  // A queue's count of receipts, which is its fence, is approximate.
  const restart = fence > 1 || resume !== null;
  const slotLost = restart && quirks.inactiveSlotDropped && /^postgres/.test(spec.source.engine);
  const { SINK_DATABASE: database = databaseOf(spec.sink) ?? "", ...given } = withoutTls(settings);
  const variables: Record<string, string> = {
    NO_COLOR: "1",
    RUST_LOG: "info",
    SOURCE_SLOT_NAME: replicationNameOf(jobId),
    SOURCE_PUBLICATION_NAME: replicationNameOf(jobId),
    // A checkpoint is found again by this number: it belongs to the job.
    MYSQL_SERVER_ID: String(1 + (createHash("sha256").update(jobId).digest().readUInt32BE() % 4_294_967_294)),
    FLUSH_INTERVAL_MS: String(DEFAULT_FLUSH_INTERVAL_MS),
    ...given,
    SOURCE_TYPE: spec.source.engine,
    SOURCE_URL: connectionUrl(spec.source),
    TABLES: spec.tables.join(","),
    SINK_TYPE: spec.sink.engine,
    SINK_URL: /^postgres/.test(spec.sink.engine) ? connectionUrl(spec.sink) : serverUrl(spec.sink),
    SINK_DATABASE: database,
    SINK_USER: spec.sink.user,
    SINK_PASSWORD: privateKey === undefined ? spec.sink.password : "",
    DO_SNAPSHOT: String(spec.snapshot || slotLost),
    DBMAZZ_CONTROL_PORT: String(port),
    HOLDFAST_FENCE: String(fence),
  };
  refuse(faultsOf(variables));
  return {
    variables,
    files: privateKey === undefined ? {} : { [PRIVATE_KEY_FILE]: privateKey },
    slotName: replicationSlotOf(jobId, spec) ?? MYSQL_SLOT,
    tables: spec.tables,
    flushIntervalMs: Number(variables["FLUSH_INTERVAL_MS"]),
    snapshotOnly: variables["INITIAL_SNAPSHOT_ONLY"] === "true",
    gapPossible: slotLost,
  };
}

/** @throws JobSettingsError where there is a fault. */
function refuse(faults: readonly string[]): void {
  if (faults.length > 0) throw new JobSettingsError(`the job's settings are not usable: ${faults.join("; ")}`);
}

/** Why a program cannot be started with these variables; one that the system refuses would be taken for the machine's fault. */
function faultsOf(variables: Readonly<Record<string, string>>): string[] {
  const faults: string[] = [];
  for (const [name, value] of Object.entries(variables)) {
    const field = FIELDS[name] ?? name;
    if (value.includes("\0")) faults.push(`${field} holds a NUL, which no daemon can be given: set another`);
    const bytes = Buffer.byteLength(`${name}=${value}`);
    if (bytes <= LONGEST_VARIABLE) continue;
    const fix = name === "TABLES" ? "make several jobs of this one" : "shorten it";
    faults.push(`${field}: ${name} would be ${bytes} bytes long, of which Linux takes ${LONGEST_VARIABLE}: ${fix}`);
  }
  return faults;
}

/** What Snowflake's key pair authentication takes in place of a password: a private key in PEM. */
function privateKeyOf({ engine, password }: Connection): string | undefined {
  return engine === "snowflake" && password.startsWith("-----BEGIN ") ? password : undefined;
}

/** The URL with user, password and TLS mode, as a daemon is given it. */
export function connectionUrl({ url, user, password, options }: Connection): string {
  const complete = new URL(url);
  complete.username = encodeURIComponent(user);
  complete.password = encodeURIComponent(password);
  if (options["sslmode"]) complete.searchParams.set("sslmode", options["sslmode"]);
  return complete.href;
}

/** A daemon puts its own paths behind it; the database is a variable of its own. */
function serverUrl({ url }: Connection): string {
  const server = new URL(url);
  server.pathname = "";
  return server.href.replace(/\/$/, "");
}

const withoutTls = ({ sslmode: _, ...settings }: Readonly<Record<string, string>>): Record<string, string> => settings;

/** Undefined where the URL's path cannot be decoded. */
export function databaseOf({ url }: Connection): string | undefined {
  try {
    return decodeURIComponent(new URL(url).pathname.slice(1));
  } catch {
    return undefined;
  }
}
