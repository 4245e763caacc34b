import { randomUUID } from "node:crypto";
import { advanceUpgrades } from "../../../control-plane/store/upgrades";
import { eventually } from "../../support/eventually";
import { TestWorker } from "./clients";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

// The copy's own steps would come between those of the tests.
beforeEach(async () => {
  await plane.pool.query(
    "insert into duties values ('upgrades', 'infinity') on conflict (name) do update set due_at = excluded.due_at",
  );
});

const RELEASE = {
  program: "agent",
  version: "2.0.0",
  url: "https://releases.example/agent-2.0.0.mjs",
  sha256: "ab".repeat(32),
  signature: "c2lnbmVk",
  soakMs: 0,
};

async function worker(workerId: string, agentVersion = "1.0.0", sessionId = randomUUID()): Promise<TestWorker> {
  const created = new TestWorker(plane.url, plane.operator.deploymentToken, workerId, sessionId);
  created.features = ["upgrade"];
  created.agentVersion = agentVersion;
  return await created.open();
}

async function create(props: object = {}): Promise<string> {
  const { status, body } = await plane.operator.post("/upgrades", { ...RELEASE, ...props });
  expect([status, body.error]).toEqual([200, undefined]);
  return body.id;
}

/** Versions the workers are asked for, one step later. */
async function asked(...workers: readonly TestWorker[]): Promise<(string | undefined)[]> {
  await advanceUpgrades(plane.pool);
  const versions = [];
  for (const each of workers) {
    const action = (await each.beat()).actions.find(({ kind }) => kind === "upgrade");
    versions.push(action?.kind === "upgrade" ? action.version : undefined);
  }
  return versions;
}

const shown = async () => (await plane.operator.get("/upgrades")).body[0];

it("control-plane 29: asks at most a wave of workers at once, the next when those are healthy, and ends when all run it", async () => {
  const old = [await worker("i-1"), await worker("i-2"), await worker("i-3")];
  const current = await worker("i-4", "2.0.0");
  const campaignId = await create({ waveSize: 2 });

  expect(await asked(...old, current)).toEqual(["2.0.0", "2.0.0", undefined, undefined]);
  expect(await asked(...old)).toEqual(["2.0.0", "2.0.0", undefined]);
  await old[0]?.beat({ upgrade: { campaignId, state: "installing" } });
  const renewed = await worker("i-1", "2.0.0");
  await renewed.beat({ upgrade: { campaignId, state: "healthy" } });

  expect((await asked(renewed, ...old.slice(1))).map(Boolean)).toEqual([false, true, true]);
  for (const name of ["i-2", "i-3"]) {
    await (await worker(name, "2.0.0")).beat({ upgrade: { campaignId, state: "healthy" } });
  }
  await advanceUpgrades(plane.pool);
  expect(await shown()).toMatchObject({ state: "done", detail: null, asked: 3, healthy: 3 });
  expect((await plane.operator.get(`/upgrades/${campaignId}/workers?after=i-1`)).body).toEqual(
    ["i-2", "i-3"].map((workerId) => ({ workerId, state: "healthy", detail: null })),
  );
});

it("control-plane 29: asks no more than a wave, however many copies take an upgrade a step further at once", async () => {
  const workers = [await worker("i-1"), await worker("i-2"), await worker("i-3")];
  await create();
  await plane.pool.query("delete from upgrade_workers");
  // GIVEN two that have begun and wait for a third
  const third = await plane.pool.connect();
  await third.query("begin; select 1 from upgrades for update");
  const steps = [advanceUpgrades(plane.pool), advanceUpgrades(plane.pool)];
  const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  await eventually(async () => ((await plane.pool.query(waiting)).rowCount === 2 ? true : undefined));

  await third.query("commit");
  third.release();
  await Promise.all(steps);

  expect((await asked(...workers)).filter(Boolean)).toEqual(["2.0.0"]);
});

it.each([
  ["rolls back", { state: "rolled_back", detail: "no heartbeat in 60 s" }, "i-1: no heartbeat in 60 s"],
  ["fails", { state: "failed", detail: "the signature does not verify" }, "i-1: the signature does not verify"],
  ["says it is healthy with the old version", { state: "healthy" }, "i-1: says it is healthy and runs 1.0.0"],
] as const)("control-plane 29: asks nobody else once a worker %s", async (_, upgrade, detail) => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create();
  expect(await asked(first, second)).toEqual(["2.0.0", undefined]);

  await first.beat({ upgrade: { campaignId, ...upgrade } });
  // What is settled stays.
  await first.beat({ upgrade: { campaignId, state: "installing" } });

  expect(await asked(first, second)).toEqual([undefined, undefined]);
  expect(await shown()).toMatchObject({ state: "failed", detail });
});

it("gives up on a worker that is never heard of again, and lets one be healthy for a while before the next", async () => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create({ soakMs: 3_600_000 });
  await asked(first, second);
  await (await worker("i-1", "2.0.0")).beat({ upgrade: { campaignId, state: "healthy" } });
  expect(await asked(second)).toEqual([undefined]);

  await plane.pool.query("update upgrade_workers set settled_at = now() - interval '2 hours'");
  expect(await asked(second)).toEqual(["2.0.0"]);
  await plane.pool.query("update upgrade_workers set asked_at = now() - interval '1 day' where worker_id = 'i-2'");
  expect(await asked(second)).toEqual([undefined]);
  expect(await shown()).toMatchObject({ state: "failed", detail: "i-2: was not healthy in time" });
});

it("runs one upgrade of a program in a pool, until it is aborted, and refuses what no worker could verify", async () => {
  const first = await worker("i-1");
  const id = await create();
  expect((await plane.operator.post("/upgrades", RELEASE)).body.error.message).toContain(
    "an upgrade of the agent runs in pool",
  );
  await asked(first);

  expect((await plane.operator.post(`/upgrades/${id}/abort`, {})).status).toBe(200);
  expect(await asked(first)).toEqual([undefined]);
  expect((await plane.operator.post(`/upgrades/${id}/abort`, {})).status).toBe(404);
  await create({ version: "3.0.0", downgrade: true });

  for (const wrong of [{ url: "http://plain" }, { sha256: "AB" }, { signature: "" }, { waveSize: 0 }]) {
    const { status, body } = await plane.operator.post("/upgrades", { ...RELEASE, pool: "other", ...wrong });
    expect([status, body.error.message.split(":")[0]]).toEqual([400, Object.keys(wrong)[0]]);
  }
});

it("asks nobody while it is paused, lets nothing else in, and holds the pause against no worker's deadline", async () => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const id = await create();
  expect(await asked(first, second)).toEqual(["2.0.0", undefined]);
  const step = async (name: string) => (await plane.operator.post(`/upgrades/${id}/${name}`, {})).status;
  expect([await step("resume"), await step("pause"), await step("pause")]).toEqual([404, 200, 404]);

  expect(await asked(first, second)).toEqual([undefined, undefined]);
  expect((await plane.operator.post("/upgrades", RELEASE)).status).toBe(409);
  await plane.pool.query("update upgrade_workers set asked_at = now() - interval '1 day'");

  expect(await step("resume")).toBe(200);
  expect(await asked(first, second)).toEqual(["2.0.0", undefined]);
  expect([await step("pause"), await step("abort"), await step("resume")]).toEqual([200, 200, 404]);
  expect(await shown()).toMatchObject({ state: "aborted" });
});
