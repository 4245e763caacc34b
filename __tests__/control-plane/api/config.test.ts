import { Writable } from "node:stream";
import { readConfiguration, readDatabaseUrl } from "../../../control-plane/api/config";
import { createLogger } from "../../../control-plane/api/logger";
import { useScratch } from "../../support/scratch";

const ENVIRONMENT = { DATABASE_URL: "postgres://u:p@db/holdfast", HOLDFAST_KEYRING: `k1:${"11".repeat(32)}` };

describe("the control plane's configuration", () => {
  it("takes what is set and defaults for the rest", () => {
    const configuration = readConfiguration({ ...ENVIRONMENT, HOLDFAST_PORT: "80", HOLDFAST_SERVER_LEASE_MS: "60000" });

    expect(configuration).toMatchObject({ port: 80, timing: { serverLeaseMs: 60_000, workerLeaseMs: 15_000 } });
  });

  it.each([
    [{ DATABASE_URL: "mysql://x" }, "DATABASE_URL: set DATABASE_URL to postgres://"],
    [{ HOLDFAST_KEYRING: undefined }, "HOLDFAST_KEYRING: set HOLDFAST_KEYRING to id:64-hex-digits"],
    [{ HOLDFAST_PORT: "http" }, "HOLDFAST_PORT: write a port number"],
    [{ HOLDFAST_AUDIT_RETENTION_DAYS: "89" }, "HOLDFAST_AUDIT_RETENTION_DAYS: write a number of days, from 90"],
    [{ HOLDFAST_SERVER_LEASE_MS: "18000" }, "HOLDFAST_SERVER_LEASE_MS: jobs would move after 17640 ms"],
  ])("control-plane 3: refuses to start with %p", (change, message) => {
    expect(() => readConfiguration({ ...ENVIRONMENT, ...change })).toThrow(message);
  });
});

it.each([
  "postgres://u:canary#1@db/holdfast",
  "postgres://u:canary/1@db/holdfast",
  "postgres://u:canary%ff@db/holdfast",
  "postgres://u:canary@one:5432,two:5432/holdfast",
])("an address that cannot be read says what to write, and nothing of the password: %s", (DATABASE_URL) => {
  let said = "";
  try {
    readConfiguration({ ...ENVIRONMENT, DATABASE_URL });
  } catch (error) {
    said = String(error);
  }
  expect(said).toContain("DATABASE_URL is no address of one host: in its user and password write %40 for @");
  expect(said).not.toContain("canary");
});

describe("secrets in files", () => {
  const scratch = useScratch();
  const named = (files: object) => readConfiguration({ ...ENVIRONMENT, DATABASE_URL: undefined, ...files });

  it("are taken without the line break at their end", () => {
    const DATABASE_URL_FILE = scratch.write("url", "postgres://u:p@elsewhere/holdfast\n");
    const HOLDFAST_KEYRING_FILE = scratch.write("keyring", `k2:${"22".repeat(32)}\n`);

    const { databaseUrl, keyring } = named({ DATABASE_URL_FILE, HOLDFAST_KEYRING_FILE, HOLDFAST_KEYRING: undefined });
    expect([databaseUrl, keyring.current]).toEqual(["postgres://u:p@elsewhere/holdfast", "k2"]);
  });

  it("are taken by programs that need a database's address alone", () => {
    const HOLDFAST_TARGET_DATABASE_URL_FILE = scratch.write("target", "postgres://u:p@target/holdfast\n");
    const variable = "HOLDFAST_TARGET_DATABASE_URL";

    expect(readDatabaseUrl({ HOLDFAST_TARGET_DATABASE_URL_FILE }, variable)).toBe("postgres://u:p@target/holdfast");
  });

  it("are refused where they cannot be read, or are set beside", () => {
    const missing = `${scratch.path}/missing`;
    expect(() => named({ DATABASE_URL_FILE: missing })).toThrow(
      /DATABASE_URL_FILE: ENOENT.*: name a file that can be read/,
    );
    const DATABASE_URL_FILE = scratch.write("url", "postgres://u:p@elsewhere/holdfast");
    expect(() => readConfiguration({ ...ENVIRONMENT, DATABASE_URL_FILE })).toThrow(
      "DATABASE_URL_FILE: DATABASE_URL is set too: leave one of them",
    );
  });
});

describe("logs", () => {
  it("replace what travels under a secret's name", () => {
    const lines: string[] = [];
    const logger = createLogger(
      "info",
      new Writable({ write: (chunk, _, done) => done(void lines.push(String(chunk))) }),
    );

    logger.info({ password: "hunter2", request: { token: "hunter2", fine: "shown" } }, "said");

    expect(lines.join()).toContain("shown");
    expect(lines.join()).not.toContain("hunter2");
  });
});
