import { daemonEnvironment, JobSettingsError } from "../../../../agent/worker/daemon/environment";
import { daemonQuirks } from "../../../../agent/worker/daemon/quirks";
import type { Connection, JobSpec } from "../../../../control-plane/protocol";
import { grantOf } from "../jobs/supervised";

const QUIRKS = daemonQuirks({ kind: "dbmazz", version: "2.4.0" });
const PORT = 20_001;
const KEY = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
const JOB = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9";

const SNOWFLAKE: Connection = {
  engine: "snowflake",
  url: "https://acme-eu1.snowflakecomputing.com/SHOP",
  user: "HOLDFAST",
  password: KEY,
  options: { SINK_SNOWFLAKE_ACCOUNT: "acme-eu1", SINK_SNOWFLAKE_WAREHOUSE: "LOADING", SINK_SCHEMA: "RAW" },
};

const environmentOf = (spec: Partial<JobSpec>, fence = 1) =>
  daemonEnvironment(grantOf({ jobId: JOB, fence, spec }), PORT, QUIRKS);

test("PostgreSQL to PostgreSQL: everything that a daemon would guess is said", () => {
  const { variables, files } = environmentOf({ snapshot: true, options: { FLUSH_SIZE: "500" } });

  expect(variables).toEqual({
    NO_COLOR: "1",
    RUST_LOG: "info",
    SOURCE_TYPE: "postgres",
    SOURCE_URL: "postgres://cdc:canary-p%40ss%2Fword@db.internal:5432/shop",
    SOURCE_SLOT_NAME: "holdfast_0b1c2d3e4f5046178293a4b5c6d7e8f9",
    SOURCE_PUBLICATION_NAME: "holdfast_0b1c2d3e4f5046178293a4b5c6d7e8f9",
    MYSQL_SERVER_ID: expect.stringMatching(/^[1-9]\d{0,9}$/),
    TABLES: "orders,order_items",
    SINK_TYPE: "postgres",
    SINK_URL: "postgres://cdc:canary-p%40ss%2Fword@db.internal:5432/copy",
    SINK_DATABASE: "copy",
    SINK_USER: "cdc",
    SINK_PASSWORD: "canary-p@ss/word",
    FLUSH_SIZE: "500",
    FLUSH_INTERVAL_MS: "5000",
    DO_SNAPSHOT: "true",
    DBMAZZ_CONTROL_PORT: String(PORT),
    HOLDFAST_FENCE: "1",
  });
  expect(files).toEqual({});
});

test.each([
  ["PostgreSQL", "postgres", "dbmazz", true],
  ["PostgreSQL under its other name", "postgresql", "dbmazz", true],
  ["MySQL, which has no slot", "mysql", "dbmazz", false],
  ["PostgreSQL on a daemon that keeps its slot", "postgres", "reference", false],
] as const)(
  "R28: every start of %s after the first, and no first one, copies again and may have a gap where the slot is lost",
  (_, engine, kind, lost) => {
    const { source } = grantOf().spec;
    for (const version of ["0.1.0", "2.0.0", "2.4.0", "3.0.0"]) {
      const quirks = daemonQuirks({ kind, version });
      for (let fence = 1; fence <= 20; fence++) {
        const grant = grantOf({ fence, spec: { source: { ...source, engine }, snapshot: false } });
        const { gapPossible, variables } = daemonEnvironment(grant, PORT, quirks);
        expect([fence, gapPossible, variables["DO_SNAPSHOT"]]).toEqual([
          fence,
          lost && fence > 1,
          `${lost && fence > 1}`,
        ]);
      }
    }
  },
);

describe("Snowflake", () => {
  test("a private key is a file, by the variable that holds its path, and in no variable", () => {
    const { variables, files } = environmentOf({ sink: SNOWFLAKE });

    expect(variables).toMatchObject({
      SINK_TYPE: "snowflake",
      SINK_SNOWFLAKE_ACCOUNT: "acme-eu1",
      SINK_SNOWFLAKE_WAREHOUSE: "LOADING",
      SINK_DATABASE: "SHOP",
      SINK_SCHEMA: "RAW",
      SINK_USER: "HOLDFAST",
      SINK_PASSWORD: "",
    });
    expect(files).toEqual({ SINK_SNOWFLAKE_PRIVATE_KEY_PATH: KEY });
    expect(JSON.stringify(variables)).not.toContain("canary\\n");
  });

  test("a password is a password", () => {
    const { variables, files } = environmentOf({ sink: { ...SNOWFLAKE, password: "secret" } });

    expect(variables["SINK_PASSWORD"]).toBe("secret");
    expect(files).toEqual({});
  });

  test("the database may be named by a setting in the URL's place", () => {
    const options = { ...SNOWFLAKE.options, SINK_DATABASE: "OTHER" };
    expect(environmentOf({ sink: { ...SNOWFLAKE, options } }).variables["SINK_DATABASE"]).toBe("OTHER");
  });

  test("an encrypted key is refused with what to do, and without a word of it", () => {
    const password = KEY.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    expect(() => environmentOf({ sink: { ...SNOWFLAKE, password } })).toThrow(
      "sink.password holds an encrypted private key: decrypt it first",
    );
  });

  test("a path on the machine is no setting: it would be another's file", () => {
    const options = { SINK_SNOWFLAKE_PRIVATE_KEY_PATH: "/etc/shadow" };
    expect(() => environmentOf({ sink: { ...SNOWFLAKE, options } })).toThrow(
      "SINK_SNOWFLAKE_PRIVATE_KEY_PATH is not a setting of a job",
    );
  });

  test.each([
    ["SINK_SNOWFLAKE_MERGE_INTERVAL_MS", "30s"],
    ["SINK_SNOWFLAKE_FLUSH_FILES", "-1"],
    ["SINK_SNOWFLAKE_FLUSH_BYTES", "100MB"],
    ["SINK_SNOWFLAKE_SOFT_DELETE", "yes"],
  ])("%s=%s, of which the daemon would silently make its default, is refused by name", (name, value) => {
    expect(() => environmentOf({ sink: { ...SNOWFLAKE, options: { [name]: value } } })).toThrow(
      `${name} has a value that no daemon would take as it stands`,
    );
  });
});

test("StarRocks: the URL is the frontend's without its path, which names the database; the port is a setting", () => {
  const { variables } = environmentOf({
    sink: {
      engine: "starrocks",
      url: "http://starrocks.internal:8030/shop",
      user: "root",
      password: "secret",
      options: { SINK_PORT: "9031" },
    },
  });

  expect(variables).toMatchObject({
    SINK_TYPE: "starrocks",
    SINK_URL: "http://starrocks.internal:8030",
    SINK_PORT: "9031",
    SINK_DATABASE: "shop",
    SINK_USER: "root",
    SINK_PASSWORD: "secret",
  });
});

test.each(["source", "sink"] as const)("a %s whose URL cannot be decoded is a fault of the job's settings", (side) => {
  const connection = { ...grantOf().spec[side], url: "http://starrocks.internal:8030/%zz" };

  expect(() => environmentOf({ [side]: connection })).toThrow(JobSettingsError);
  expect(() => environmentOf({ [side]: connection })).toThrow(`${side}.url cannot be decoded: write %25`);
});

test("a job's number at a MySQL server is its own, and the same at each start", () => {
  const source: Connection = { engine: "mysql", url: "mysql://db:3306/shop", user: "cdc", password: "x", options: {} };
  const [first, again] = [environmentOf({ source }), environmentOf({ source }, 2)];
  const another = daemonEnvironment(grantOf({ spec: { source } }), PORT, QUIRKS);

  expect(again.variables["MYSQL_SERVER_ID"]).toBe(first.variables["MYSQL_SERVER_ID"]);
  expect(another.variables["MYSQL_SERVER_ID"]).not.toBe(first.variables["MYSQL_SERVER_ID"]);
  expect(first.slotName).toBe("mysql_source");
});

test("R28: a later start of a job that is copied anyway may have a gap, too", () => {
  expect([1, 2].map((fence) => environmentOf({ snapshot: true }, fence).gapPossible)).toEqual([false, true]);
});

test("tables may be as long together as Linux takes a variable, and no longer", () => {
  const room = 131_071 - "TABLES=".length;
  const lists = [room, room + 1].map((length) => ["t".repeat(length - 7), "orders"]);

  expect(environmentOf({ tables: lists[0] ?? [] }).variables["TABLES"]).toHaveLength(room);
  expect(() => environmentOf({ tables: lists[1] ?? [] })).toThrow(
    "tables: TABLES would be 131072 bytes long, of which Linux takes 131071: make several jobs of this one",
  );
});
