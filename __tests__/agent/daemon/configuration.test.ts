import { parseEnvironment } from "../../../agent/daemon/configuration";
import { toJson } from "../../../agent/daemon/json";
import { formatLsn, parseLsn } from "../../../agent/daemon/lsn";

const USABLE = {
  SOURCE_URL: "postgres://reader:hidden@source:5432/shop?replication=database",
  SOURCE_SLOT_NAME: "job_7",
  TABLES: "orders, sales.items",
  SINK_TYPE: "postgres",
  SINK_URL: "postgres://sink:6432",
  SINK_DATABASE: "copy",
  SINK_USER: "writer",
  SINK_PASSWORD: "p@ss/word",
};

test("an environment that leaves out what has a default", () => {
  expect(parseEnvironment(USABLE)).toEqual({
    source: {
      url: "postgres://reader:hidden@source:5432/shop",
      slotName: "job_7",
      publicationName: "dbmazz_pub",
      tables: [
        { schema: "public", table: "orders", label: "orders" },
        { schema: "sales", table: "items", label: "sales.items" },
      ],
    },
    sink: { url: "postgres://writer:p%40ss%2Fword@sink:6432/copy", schema: "public" },
    flush: { changes: 10_000, intervalMs: 5_000 },
    snapshot: { enabled: false, only: false, chunkRows: 50_000, parallelTables: 2 },
    controlPort: 50_051,
    fence: 0n,
  });
});

test("variables of other engines and of the system are let through", () => {
  const env = {
    ...USABLE,
    MYSQL_SERVER_ID: "5400",
    SINK_SNOWFLAKE_ROLE: "",
    SINK_PORT: "9030",
    RUST_LOG: "info",
    SINKHOLE: "x",
  };
  expect(parseEnvironment({ ...env, HOLDFAST_FENCE: "9223372036854775807" }).fence).toBe(9223372036854775807n);
});

test.each<[string, Record<string, string | undefined>, string]>([
  ["no source", { SOURCE_URL: undefined }, "SOURCE_URL: is required"],
  ["an empty source", { SOURCE_URL: "" }, "SOURCE_URL: is required"],
  ["a source of another kind", { SOURCE_URL: "mysql://h/d" }, "SOURCE_URL: must be a URL of the form postgres://"],
  ["a source without a database", { SOURCE_URL: "postgres://h" }, "SOURCE_URL: must name the database in its path"],
  [
    "a password that is not encoded",
    { SOURCE_URL: "postgres://u:100%@h/d" },
    "SOURCE_URL: holds a % that encodes nothing",
  ],
  [
    "a sink's password that is not encoded",
    { SINK_URL: "postgres://u:100%@h" },
    "SINK_URL: holds a % that encodes nothing",
  ],
  ["a key-value connection string", { SINK_URL: "host=sink dbname=x" }, "SINK_URL: must be a URL of the form"],
  ["MySQL", { SOURCE_TYPE: "mysql" }, 'SOURCE_TYPE: "mysql" is not one of postgres, postgresql'],
  ["StarRocks", { SINK_TYPE: "starrocks" }, 'SINK_TYPE: "starrocks" is not one of postgres, postgresql'],
  ["no sink database", { SINK_DATABASE: undefined }, "SINK_DATABASE: is required, here or in the path of SINK_URL"],
  ["two sink databases", { SINK_URL: "postgres://h/a" }, "SINK_DATABASE: differs from what SINK_URL says"],
  ["two sink users", { SINK_URL: "postgres://other@h" }, "SINK_USER: differs from what SINK_URL says"],
  ["no tables", { TABLES: undefined }, "TABLES: is required"],
  ["an empty table", { TABLES: "a,,b" }, 'TABLES: "" is neither "table" nor "schema.table"'],
  ["a quoted table", { TABLES: 'a"b' }, 'TABLES: "a\\"b" is neither "table" nor "schema.table"'],
  ["two tables of one name", { TABLES: "a.t,b.t" }, "TABLES: a.t and b.t would share the sink's table t"],
  ["a slot that PostgreSQL refuses", { SOURCE_SLOT_NAME: "Job-7" }, 'SOURCE_SLOT_NAME: "Job-7" must be 1 to 63 of a-z'],
  [
    "a publication to quote",
    { SOURCE_PUBLICATION_NAME: "p'; drop" },
    'SOURCE_PUBLICATION_NAME: "p\'; drop" must be 1 to 63',
  ],
  ["no whole number", { FLUSH_SIZE: "1e3" }, 'FLUSH_SIZE: "1e3" must be a whole number from 1 to 1000000'],
  ["too small a number", { SNAPSHOT_CHUNK_SIZE: "0" }, 'SNAPSHOT_CHUNK_SIZE: "0" must be a whole number from 1'],
  ["a unit", { FLUSH_INTERVAL_MS: "5s" }, 'FLUSH_INTERVAL_MS: "5s" must be a whole number from 1 to 600000'],
  ["a port out of range", { DBMAZZ_CONTROL_PORT: "65536" }, 'DBMAZZ_CONTROL_PORT: "65536" must be a whole number'],
  ["too many workers", { SNAPSHOT_PARALLEL_WORKERS: "33" }, "SNAPSHOT_PARALLEL_WORKERS"],
  ["no truth value", { DO_SNAPSHOT: "yes" }, 'DO_SNAPSHOT: "yes" must be true or false'],
  [
    "only what is not done",
    { INITIAL_SNAPSHOT_ONLY: "true" },
    "INITIAL_SNAPSHOT_ONLY: is true, but DO_SNAPSHOT is not",
  ],
  ["a negative fence", { HOLDFAST_FENCE: "-1" }, 'HOLDFAST_FENCE: "-1" must be a whole number from 0 to 2^63 - 1'],
  ["a fence beyond 64 bits", { HOLDFAST_FENCE: "9223372036854775808" }, "HOLDFAST_FENCE"],
  ["a slip of the pen", { SINK_SHEMA: "x" }, "SINK_SHEMA: is not a variable of this daemon; did you mean SINK_SCHEMA?"],
])("refuses %s", (_, change, message) => {
  expect(() => parseEnvironment({ ...USABLE, ...change })).toThrow(message);
});

test("all faults are named at once, and no secret", () => {
  const bad = { ...USABLE, SINK_URL: "postgres://u:other-secret@h/x", FLUSH_SIZE: "no", TABLES: "" };
  const message = String(messageOf(() => parseEnvironment(bad)));
  for (const name of ["TABLES", "SINK_DATABASE", "SINK_USER", "FLUSH_SIZE"]) expect(message).toContain(`${name}: `);
  expect(message).not.toMatch(/secret|hidden|p@ss/);
});

test("an LSN keeps its 64 bits, also in JSON", () => {
  expect(parseLsn("FFFFFFFF/FFFFFFFE")).toBe(2n ** 64n - 2n);
  expect(formatLsn(parseLsn("16/b374d848"))).toBe("16/B374D848");
  expect(() => parseLsn("16-1")).toThrow('"16-1" is not an LSN');
  expect(toJson({ lsn: 2n ** 64n - 2n, text: '"1"', list: [1n] })).toBe(
    '{"lsn":18446744073709551614,"text":"\\"1\\"","list":[1]}',
  );
});

function messageOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return (error as Error).message;
  }
}
