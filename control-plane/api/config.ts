import { readFileSync } from "node:fs";
import * as z from "zod";
import { LeaseTiming } from "../lease/timing";
import { type Keyring, parseKeyring } from "../store/seal";
import type { StatusPageAccess } from "./status-routes";

const milliseconds = z.string().regex(/^\d+$/, "write milliseconds as a whole number").transform(Number);

const databaseUrl = (variable: string) =>
  z
    .url({
      protocol: /^postgres(ql)?$/,
      error: ({ input }) =>
        /^postgres(ql)?:\/\//.test(String(input))
          ? undecodable(variable)
          : `set ${variable} to postgres://user:password@host/database`,
    })
    .refine(hasDecodableParts, undecodable(variable));

const undecodable = (variable: string): string =>
  `${variable} is no address of one host: in its user and password write %40 for @, %2F for /, %23 for #, %3F for ?, %25 for %`;

function hasDecodableParts(url: string): boolean {
  try {
    const { username, password, pathname } = new URL(url);
    return [username, password, pathname].every((part) => decodeURIComponent(part) !== undefined);
  } catch {
    return false;
  }
}

const Environment = z.object({
  DATABASE_URL: databaseUrl("DATABASE_URL"),
  HOLDFAST_KEYRING: z.string({
    error: "set HOLDFAST_KEYRING to id:64-hex-digits; several with commas, the current one first",
  }),
  HOLDFAST_HOST: z.string().default("127.0.0.1"),
  HOLDFAST_PORT: z
    .string()
    .regex(/^\d{1,5}$/, "write a port number")
    .default("7600")
    .transform(Number),
  HOLDFAST_OPERATOR_TOKEN_FILE: z.string().min(1).optional(),
  HOLDFAST_STATUS_PAGE: z.enum(["off", "token", "open"]).default("token"),
  HOLDFAST_RETENTION_DAYS: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, "write a number of days, from 1 to 9999")
    .default("30")
    .transform(Number),
  HOLDFAST_AUDIT_RETENTION_DAYS: z
    .string()
    .regex(/^(9\d|[1-9]\d{2,3})$/, "write a number of days, from 90 to 9999")
    .default("365")
    .transform(Number),
  HOLDFAST_CLOUDWATCH_NAMESPACE: z
    .string()
    .regex(/^[\w./#:-]{1,255}$/, "write a CloudWatch namespace: {product}/workers")
    .optional(),
  HOLDFAST_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  HOLDFAST_HEARTBEAT_MS: milliseconds.optional(),
  HOLDFAST_WORKER_LEASE_MS: milliseconds.optional(),
  HOLDFAST_SERVER_LEASE_MS: milliseconds.optional(),
});

/** What each variable says, for a person. */
export const VARIABLES: Readonly<Record<keyof typeof Environment.shape, string>> = {
  DATABASE_URL: "postgres://user:password@host/database; or DATABASE_URL_FILE, a file with it",
  HOLDFAST_KEYRING: "keys that seal credentials, id:64-hex-digits, the current one first; or HOLDFAST_KEYRING_FILE",
  HOLDFAST_HOST: "where to listen (default: 127.0.0.1)",
  HOLDFAST_PORT: "where to listen (default: 7600)",
  HOLDFAST_OPERATOR_TOKEN_FILE: "where a start that finds no operator writes the first one's token (default: nowhere)",
  HOLDFAST_STATUS_PAGE: "off, token or open: who sees the status page (default: token)",
  HOLDFAST_RETENTION_DAYS: "how long deleted jobs, closed sessions and ended tokens are kept (default: 30)",
  HOLDFAST_AUDIT_RETENTION_DAYS: "how long entries of the audit log are kept, at least 90 (default: 365)",
  HOLDFAST_CLOUDWATCH_NAMESPACE: "{product}/workers: where the backlog of each pool is published (default: nowhere)",
  HOLDFAST_LOG_LEVEL: "debug, info, warn or error (default: info)",
  HOLDFAST_HEARTBEAT_MS: "how often a worker renews its lease (default: 5000)",
  HOLDFAST_WORKER_LEASE_MS: "how long a worker may run daemons after a heartbeat (default: 15000)",
  HOLDFAST_SERVER_LEASE_MS: "how long after it others get the worker's jobs (default: 30000)",
};

export interface Configuration {
  readonly databaseUrl: string;
  readonly keyring: Keyring;
  readonly host: string;
  readonly port: number;
  readonly logLevel: string;
  readonly operatorTokenFile?: string;
  readonly statusPage: StatusPageAccess;
  readonly retentionDays: number;
  readonly auditRetentionDays: number;
  /** Where the backlog of each pool is published. */
  readonly cloudWatchNamespace?: string;
  readonly timing: LeaseTiming;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** What may be in a file instead, named by the variable with `_FILE` behind it: an environment is inherited by every child. */
const SECRETS = ["DATABASE_URL", "HOLDFAST_KEYRING"];

/**
 * Reads the environment. Throws an error with one line per fault, each naming its variable and what to write; intervals under
 * which a lease would not be safe are faults too.
 */
export function readConfiguration(environment: Variables): Configuration {
  const parsed = Environment.safeParse({ ...environment, ...secretsInFiles(environment, SECRETS) });
  if (!parsed.success) throw faults(parsed.error, (path) => path);
  const { data } = parsed;
  const timing = LeaseTiming.safeParse({
    heartbeatMs: data.HOLDFAST_HEARTBEAT_MS,
    workerLeaseMs: data.HOLDFAST_WORKER_LEASE_MS,
    serverLeaseMs: data.HOLDFAST_SERVER_LEASE_MS,
  });
  if (!timing.success) throw faults(timing.error, (path) => `HOLDFAST_${path.replace(/[A-Z]/g, "_$&").toUpperCase()}`);
  return {
    databaseUrl: data.DATABASE_URL,
    keyring: parseKeyring(data.HOLDFAST_KEYRING),
    host: data.HOLDFAST_HOST,
    port: data.HOLDFAST_PORT,
    logLevel: data.HOLDFAST_LOG_LEVEL,
    statusPage: data.HOLDFAST_STATUS_PAGE,
    retentionDays: data.HOLDFAST_RETENTION_DAYS,
    auditRetentionDays: data.HOLDFAST_AUDIT_RETENTION_DAYS,
    ...(data.HOLDFAST_CLOUDWATCH_NAMESPACE && { cloudWatchNamespace: data.HOLDFAST_CLOUDWATCH_NAMESPACE }),
    ...(data.HOLDFAST_OPERATOR_TOKEN_FILE && { operatorTokenFile: data.HOLDFAST_OPERATOR_TOKEN_FILE }),
    timing: timing.data,
  };
}

/** The address of a database, for a program that needs no more of the environment. @throws Error saying what to write */
export function readDatabaseUrl(environment: Variables, variable: string): string {
  const given = { ...environment, ...secretsInFiles(environment, [variable]) };
  const parsed = databaseUrl(variable).safeParse(given[variable]);
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues[0]?.message);
}

/** A line break at the end does not belong to a secret. */
function secretsInFiles(environment: Variables, secrets: readonly string[]): Variables {
  const named = secrets.flatMap((secret) => {
    const file = environment[`${secret}_FILE`];
    return file === undefined ? [] : [{ secret, file, variable: `${secret}_FILE` }];
  });
  const read = named.map(({ secret, file, variable }) => {
    if (environment[secret] !== undefined) throw unusable([`${variable}: ${secret} is set too: leave one of them`]);
    try {
      return [secret, readFileSync(file, "utf8").replace(/\r?\n$/, "")];
    } catch (error) {
      throw unusable([`${variable}: ${(error as Error).message}: name a file that can be read`]);
    }
  });
  return Object.fromEntries(read);
}

function faults(error: z.ZodError, variable: (path: string) => string): Error {
  return unusable(error.issues.map(({ path, message }) => `${variable(path.join("."))}: ${message}`));
}

const unusable = (lines: readonly string[]): Error =>
  new Error(`the control plane's configuration is not usable\n  ${lines.join("\n  ")}`);
