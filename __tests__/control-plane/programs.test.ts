import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { readConfiguration, VARIABLES } from "../../control-plane/api/config";

const REPOSITORY = resolve(__dirname, "../..");

function run(program: string, variables: Record<string, string>) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", program], {
    cwd: REPOSITORY,
    encoding: "utf8",
    env: { PATH: process.env.PATH, ...variables },
  });
  return { status, stdout, lines: stderr.split("\n") };
}

test("npm run migrate says what its address should be, and where a server is looked for that does not answer", () => {
  const next = expect.stringMatching(/^ {2}next: see that DATABASE_URL leads to a server/);

  expect(run("control-plane/migrate.ts", { DATABASE_URL: "foo" })).toEqual({
    status: 1,
    stdout: "",
    lines: ["error: set DATABASE_URL to postgres://user:password@host/database", next, ""],
  });
  expect(run("control-plane/migrate.ts", { DATABASE_URL: "postgres://me@127.0.0.1:1/holdfast" })).toEqual({
    status: 1,
    stdout: "",
    lines: ["error: connect ECONNREFUSED 127.0.0.1:1", next, ""],
  });
});

test("npm run copy-store names the address that is missing", () => {
  const { status, lines } = run("control-plane/copy-store.ts", { DATABASE_URL: "postgres://db/old" });

  expect([status, lines[0]]).toEqual([
    1,
    "error: set HOLDFAST_TARGET_DATABASE_URL to postgres://user:password@host/database",
  ]);
});

describe("the variables of the control plane's help", () => {
  const REQUIRED = { DATABASE_URL: "postgres://u:p@db/holdfast", HOLDFAST_KEYRING: `k1:${"11".repeat(32)}` };

  test.each(
    Object.entries(VARIABLES).flatMap(([name, says]) => {
      const told = /\(default: (\S+)\)$/.exec(says)?.[1];
      return told === undefined || told === "nowhere" ? [] : [[name, told] as const];
    }),
  )("%s tells its true default, %s", (name, told) => {
    expect(readConfiguration({ ...REQUIRED, [name]: told })).toEqual(readConfiguration(REQUIRED));
  });
});

test.each([
  ["127.0.0.1:1", "connect ECONNREFUSED 127.0.0.1:1"],
  // Of several addresses, where the machine has them, Node.js says the code alone.
  ["localhost:1", expect.stringContaining("ECONNREFUSED")],
])("the control plane says where its database is not, at %s, and what comes next", (host, reason) => {
  const { status, stdout, lines } = run("control-plane/main.ts", {
    DATABASE_URL: `postgres://me:canary@${host}/holdfast`,
    HOLDFAST_KEYRING: `k1:${"11".repeat(32)}`,
  });

  expect([status, stdout]).toEqual([1, ""]);
  const [said = "", next] = lines;
  expect(said.split(" cannot be used: ")).toEqual([`error: the database ${host}/holdfast`, reason]);
  expect(next).toMatch(/^ {2}next: see that DATABASE_URL leads to a PostgreSQL that answers/);
  expect(lines.join()).not.toContain("canary");
});
