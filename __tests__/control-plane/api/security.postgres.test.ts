import { randomUUID } from "node:crypto";
import { type OutgoingHttpHeaders, request } from "node:http";
import { LeaseTiming } from "../../../control-plane/lease/timing";
import { MESSAGES } from "../../../control-plane/protocol/schemas";
import { seededRandom } from "../../../scripts/seeded-random";
import { interestingValues, mutate } from "../protocol/mutate";
import { send, TestWorker } from "./clients";
import { digestOfAll } from "./everything";
import { filled, operationsOf } from "./operations";
import { restBetweenRequests } from "./resting-clock";
import { useControlPlane } from "./use-control-plane";

/** Nothing runs out while a test looks at what requests change. */
const PATIENT = LeaseTiming.parse({ serverLeaseMs: 3_600_000, grantMs: 3_600_000 });

const plane = useControlPlane({ timing: PATIENT });

/** Asks for a path with the beginning of a body, and gives the answer's status. */
async function begin(path: string, headers: OutgoingHttpHeaders, body = ""): Promise<number | undefined> {
  const authorization = `Bearer ${plane.operator.token}`;
  return await new Promise((resolve, reject) => {
    const asked = request(
      `${plane.url}${path}`,
      { method: "POST", headers: { ...headers, authorization } },
      (answer) => {
        resolve(answer.statusCode);
        asked.destroy();
      },
    );
    asked.once("error", reject);
    asked.flushHeaders();
    asked.write(body);
  });
}

afterEach(() => jest.restoreAllMocks());

const everything = () => digestOfAll(plane.pool);

describe("control-plane 25: every endpoint and every wrong token", () => {
  it("control-plane 25: refuses missing, malformed and unknown tokens, and those of another kind", async () => {
    const before = await everything();
    const ids = ["jobId", "datasourceId", "testId", "tokenId", "sessionId", "upgradeId"];
    const values = Object.fromEntries(ids.map((id) => [id, randomUUID()]));
    const all = await operationsOf(plane.url);
    expect(all.length).toBeGreaterThan(35);
    const rest = restBetweenRequests();

    for (const operation of all) {
      const path = filled(operation, { ...values, deploymentId: plane.operator.deploymentId });
      const ask = async (token: string) =>
        await send(plane.url, path, token, operation.method === "POST" ? {} : undefined, operation.method);
      rest();
      const what = `${operation.method} ${path}`;
      for (const token of ["", "short", "two words", "hfo_unknown-token", "a".repeat(300)]) {
        const { status, body } = await ask(token);
        expect([what, token, status, body.error.code]).toEqual([what, token, 401, "token_invalid"]);
      }
      const otherKind = operation.token === "operator" ? plane.operator.deploymentToken : plane.operator.token;
      expect([what, await ask(otherKind)]).toMatchObject([
        what,
        { status: 403, body: { error: { code: "token_scope" } } },
      ]);
    }
    expect(await everything()).toEqual(before);
  }, 240_000);

  it("control-plane 25: a worker whose token is revoked is refused at its next heartbeat, whatever it brings", async () => {
    const jobId = await plane.operator.createJob("orders");
    const worker = await plane.worker("i-1").open();
    const [grant] = (await worker.claim()).grants;
    const ref = { jobId, fence: grant?.fence ?? 0 };
    await worker.ask("started", ref);
    const beat = { seq: 1, state: "active", running: [], released: [] };
    expect((await worker.send("heartbeat", beat)).status).toBe(200);
    await plane.pool.query("update tokens set revoked_at = now() where kind = 'worker'");
    const before = await everything();

    const upgrade = { campaignId: randomUUID(), state: "installing" };
    for (const message of [beat, { ...beat, released: [ref] }, { ...beat, upgrade }, { ...beat, state: "draining" }]) {
      const { status, body } = await worker.send("heartbeat", message);
      expect([status, body.error.code]).toEqual([401, "token_invalid"]);
    }
    expect(await everything()).toEqual(before);
  });

  it("control-plane 25: an operator whose token is revoked makes no further job", async () => {
    await plane.operator.createJob("first");
    await plane.pool.query("update tokens set revoked_at = now() where kind = 'operator'");
    const before = await everything();

    for (const name of ["second", "first"]) {
      await expect(plane.operator.createJob(name)).rejects.toThrow("token_invalid");
    }
    expect(await everything()).toEqual(before);
  });

  it("control-plane 25: a worker of another deployment writes to no job, however well it knows it", async () => {
    const jobId = await plane.operator.createJob("orders");
    const holder = await plane.worker("i-1").open();
    const [grant] = (await holder.claim()).grants;
    const ref = { jobId, fence: grant?.fence ?? 0 };
    await holder.ask("started", ref);
    const other = await send(plane.url, "/api/v1/deployments", plane.operator.token, { name: "other" });
    const path = `/api/v1/deployments/${other.body.id}/tokens`;
    const { body } = await send(plane.url, path, plane.operator.token, { kind: "deployment" });
    const stranger = await new TestWorker(plane.url, body.token, "i-1").open();
    const before = await everything();

    const checkpoint = { seq: 9, phase: "streaming", position: "0/9" };
    for (const [name, message] of [
      ["started", ref],
      ["progress", { ...ref, checkpoint }],
      ["report", { ...ref, outcome: "completed", logTail: [] }],
      ["release", { reason: "drain", jobs: [ref] }],
    ] as const) {
      expect(await stranger.send(name, message)).toMatchObject({ status: 410, body: { error: { code: "fenced" } } });
    }
    expect((await stranger.claim()).grants).toEqual([]);
    expect(await everything()).toEqual(before);
  });

  it("control-plane 25: a registration that is replayed after its session has ended opens nothing", async () => {
    const worker = await plane.worker("i-1").open();
    await worker.ask("deregister", { reason: "bye" });
    const before = await everything();

    await expect(worker.register()).rejects.toThrow();
    expect(await worker.send("heartbeat", { seq: 2, state: "active", running: [], released: [] })).toMatchObject({
      status: 410,
      body: { error: { code: "session_closed" } },
    });
    expect(await everything()).toEqual(before);
  });

  it("control-plane 25: slows down whoever tries tokens", async () => {
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 30; attempt++) {
      statuses.push((await send(plane.url, "/api/v1/deployments", `guess-${attempt}`, undefined, "GET")).status);
    }

    expect(statuses.slice(0, 20)).toEqual(Array(20).fill(401));
    expect(statuses).toContain(429);
  });
});

describe("bad input", () => {
  it("is refused by size before it is read, and by what is wrong with it", async () => {
    expect(await begin(`${plane.operator.base}/jobs`, { "content-length": 2_000_000 })).toBe(413);
    expect(await begin(`${plane.operator.base}/jobs`, { "transfer-encoding": "chunked" }, "a".repeat(2_000_000))).toBe(
      413,
    );

    const datasource = { name: "db", engine: "postgres", url: "postgres://u:secret@h/db", user: "u", password: "p" };
    const { status, body } = await plane.operator.post("/datasources", datasource);
    expect([status, body.error.message]).toEqual([
      400,
      "url: the URL must not hold credentials: use user and password",
    ]);
    const unreadable = await plane.operator.post("/datasources", { ...datasource, url: "the shop's" });
    expect([unreadable.status, unreadable.body.error.message]).toEqual([400, "url: Invalid URL"]);
    const undecodable = await plane.operator.post("/datasources", { ...datasource, url: "http://h:8030/%zz" });
    expect([undecodable.status, undecodable.body.error.message]).toEqual([
      400,
      "url: the URL cannot be decoded: write %25 for a % that begins no escape",
    ]);
    const [{ id }] = (await plane.operator.get("/datasources")).body;
    const created = { ...datasource, url: "postgres://h/db", password: "canary\0" };
    for (const [path, given] of [["", created] as const, [`/${id}`, { password: "canary\0" }] as const]) {
      const refused = await plane.operator.post(`/datasources${path}`, given);
      const told = "password: a NUL cannot be given to a daemon: leave it out";
      expect([refused.status, refused.body.error.message]).toEqual([400, told]);
    }
    expect((await plane.operator.post("/jobs", { nmae: "x" })).body.error.code).toBe("invalid_message");
  });

  it("fuzz: no endpoint of the OpenAPI document answers with 5xx, and refused requests change nothing", async () => {
    await plane.operator.createJob("orders");
    const worker = await plane.worker("i-1").open();
    const [grant] = (await worker.claim()).grants;
    const random = seededRandom(26);
    const ref = { jobId: grant?.jobId, fence: 1 };
    const checkpoint = { seq: 1, phase: "init", position: "0/1" };
    const samples = {
      heartbeat: { seq: 1, state: "active", running: [{ ...ref, status: "running", phase: "init" }], released: [ref] },
      claim: { claimId: randomUUID(), freeSlots: 1, waitMs: 0 },
      started: ref,
      progress: { ...ref, checkpoint },
      report: { ...ref, outcome: "failed", error: "e", exitCode: 1, logTail: ["a"], checkpoint },
      release: { reason: "drain", jobs: [{ ...ref, checkpoint }] },
      metrics: { jobs: [], host: { memoryBytes: 1, cpuMillicores: 1 } },
    } as const;
    const counts = { refused: 0, accepted: 0 };
    for (let round = 0; round < 350; round++) {
      const names = Object.keys(samples) as (keyof typeof samples)[];
      const name = names[round % names.length] as keyof typeof samples;
      const values = [...interestingValues(MESSAGES[name].request), "\u0000", "\ud800", "a".repeat(5_000)];
      const message = mutate(samples[name] as never, values, random) as { waitMs?: unknown } | null;
      if (message && typeof message === "object" && "waitMs" in message && Number(message.waitMs) > 0) continue;
      const before = await everything();
      const { status } = await worker.send(name, message);
      expect(status).toBeLessThan(500);
      if (status === 200) counts.accepted += 1;
      else {
        counts.refused += 1;
        expect(await everything()).toEqual(before);
      }
      if (status === 429) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(counts.refused).toBeGreaterThan(100);
    expect(counts.accepted).toBeGreaterThan(10);
  }, 240_000);
});

describe("control-plane 26: what leaks", () => {
  it("control-plane 26: no secret in logs, lists, errors or figures", async () => {
    await plane.operator.createJob("orders");
    const worker = await plane.worker("i-1").open();
    await worker.claim();
    await worker.send("progress", { password: "canary-password" });
    const seen = [
      ...(plane.copies[0]?.logs ?? []),
      JSON.stringify((await plane.operator.get("/jobs")).body),
      JSON.stringify((await plane.operator.get("/workers")).body),
      JSON.stringify((await plane.operator.get("/audit")).body),
      await (await fetch(`${plane.url}/metrics`)).text(),
    ].join("\n");

    expect(seen).toContain("i-1");
    expect(seen).toContain("listening");
    for (const secret of ["canary-password", plane.operator.token, plane.operator.deploymentToken, plane.databaseUrl]) {
      expect(seen).not.toContain(secret);
    }
  });

  it("shows Prometheus how jobs and requests fare, and says when it is ready", async () => {
    await plane.operator.createJob("orders");

    const figures = await (await fetch(`${plane.url}/metrics`)).text();
    expect(figures).toContain('holdfast_jobs{state="pending"} 1');
    expect(figures).toMatch(/holdfast_request_seconds_count\{route="[^"]*jobs",status="200"\} 1/);
    expect((await fetch(`${plane.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${plane.url}/healthz`)).status).toBe(200);
  });
});
