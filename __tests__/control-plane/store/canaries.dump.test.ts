import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { takeDuty } from "../../../control-plane/store/duties";
import { RELEASE } from "../api/call-stage";
import { send } from "../api/clients";
import { useControlPlane } from "../api/use-control-plane";

const plane = useControlPlane();

const PASSWORDS = ["canary-password", "canary-changed", "canary-forgotten", "canary-refused"];
/** Of the keyring that the copies of tests have. */
const KEY = Buffer.from("11".repeat(32), "hex");

/** What the API answered to operators. */
let answers: string[];

async function asked(path: string, body?: unknown, method = "POST") {
  const { url, operator } = plane;
  const reply = await send(url, `${operator.base}${path}`, operator.token, body, method);
  answers.push(JSON.stringify(reply.body));
  return reply;
}

/** Puts something into every table there is; gives what nobody may read there. */
async function populated(): Promise<Readonly<Record<string, Buffer>>> {
  const { operator, pool } = plane;
  answers = [];
  const [{ id: first }] = (await asked("/datasources", undefined, "GET")).body;
  const second = { name: "copy-db", engine: "postgres", url: "postgres://b/c", user: "cdc", password: PASSWORDS[2] };
  const { id: forgotten } = (await asked("/datasources", second)).body;
  await asked("/datasources", { ...second, password: PASSWORDS[3] });
  await asked(`/datasources/${first}`, { password: PASSWORDS[1] });
  await asked(`/datasources/${forgotten}`, undefined, "DELETE");
  await operator.createJob("waiting", { labels: { nobody: "has this" } });
  const jobId = await operator.createJob("orders");

  const worker = plane.worker("i-1");
  worker.features = ["test_connection", "upgrade"];
  await worker.open();
  const [grant] = (await worker.claim()).grants;
  expect(grant?.spec.source.password).toBe(PASSWORDS[1]);
  const ref = { jobId, fence: grant?.fence ?? 0 };
  await worker.ask("started", ref);
  await worker.ask("progress", { ...ref, checkpoint: { seq: 1, phase: "streaming", position: "0/1" } });
  const figures = { lagBytes: 1, lagMs: 1, eventsPerSecond: 1, eventsTotal: 1, memoryBytes: 1, cpuMillicores: 1 };
  await worker.ask("metrics", { jobs: [{ ...ref, ...figures }], host: { memoryBytes: 1, cpuMillicores: 1 } });
  const { body } = await asked(`/datasources/${first}/test`, { role: "source" });
  const steps = [{ step: "auth", result: "ok", ms: 1, detail: "as cdc" }] as const;
  await worker.ask("connection-test", { testId: body.id, ok: true, steps: [...steps] });
  await asked("/upgrades", RELEASE);
  await takeDuty(pool, "canaries", 60);
  await asked(`/jobs/${randomUUID()}/run`);
  for (const list of ["/jobs", "/workers", "/datasources", "/tokens", "/upgrades", "/audit"]) {
    await asked(list, undefined, "GET");
  }

  const secrets = [...PASSWORDS, operator.token, operator.deploymentToken, worker.token].map((secret) => [
    secret.slice(0, 15),
    Buffer.from(secret),
  ]);
  return { ...Object.fromEntries(secrets), "the key": KEY };
}

/** Which of the secrets stand in a text, as they are or in one of the ways in which bytes are written. */
function secretsIn(text: string, secrets: Readonly<Record<string, Buffer>>): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => {
    // Three bytes become four characters: where a secret begins among them is one of three.
    const base64 = [0, 1, 2].map((skipped) => {
      const whole = Math.floor((secret.length - skipped) / 3) * 3;
      return secret.subarray(skipped, skipped + whole).toString("base64");
    });
    const ways = [secret.toString("utf8"), secret.toString("hex"), ...base64];
    return ways.some((way) => text.includes(way) || text.includes(way.replace(/\+/g, "-").replace(/\//g, "_")))
      ? [name]
      : [];
  });
}

it("control-plane 26: no secret stands in any table, a dump, the logs or what operators are answered", async () => {
  const secrets = await populated();
  const { rows: tables } = await plane.pool.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1`,
  );
  expect(tables.map(({ name }) => name)).toContain("datasources");
  const found: Record<string, unknown> = {};
  for (const { name } of tables) {
    const { rows } = await plane.pool.query(
      `select count(*)::int as rows, coalesce(string_agg(t::text, e'\\n'), '') as text from ${name} t`,
    );
    found[name] = rows[0].rows > 0 ? secretsIn(rows[0].text, secrets) : "nothing was put into it";
  }
  const dump = execFileSync("pg_dump", ["--inserts", plane.databaseUrl], { encoding: "utf8", maxBuffer: 2 ** 28 });
  expect(dump).toContain("orders-db");
  const directory = (await plane.pool.query("show data_directory")).rows[0].data_directory;
  const ofPostgres = readFileSync(join(directory, "..", "postgres.log"), "utf8");
  expect(ofPostgres).toContain("ready to accept connections");
  const said = (plane.copies[0]?.logs ?? []).join("\n");
  expect(said).toContain("listening");
  const places = { "a dump": dump, "PostgreSQL's log": ofPostgres, "a copy's log": said, answers: answers.join("\n") };
  for (const [place, text] of Object.entries(places)) found[place] = secretsIn(text, secrets);

  const nowhere = [...tables.map(({ name }) => name), ...Object.keys(places)].map((place) => [place, []]);
  expect(found).toEqual(Object.fromEntries(nowhere));
  expect(secretsIn(`x ${KEY.toString("base64url")}`, secrets)).toEqual(["the key"]);
  expect(secretsIn(Buffer.from("ab canary-password").toString("hex"), secrets)).toEqual(["canary-password"]);
  expect(secretsIn(Buffer.from("ab canary-password").toString("base64"), secrets)).toEqual(["canary-password"]);
});
