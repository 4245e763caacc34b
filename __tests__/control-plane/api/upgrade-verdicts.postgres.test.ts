import { declareGone } from "../../../control-plane/store/sessions";
import { closeVanished } from "../../../control-plane/store/vanished";
import type { TestWorker } from "./clients";
import { QUICK, useUpgrades } from "./use-upgrades";

const { plane, worker, create, step, silence, upgraded, endSoak, asked, shown } = useUpgrades();

const leave = (leaving: TestWorker) => leaving.ask("deregister", { reason: "the agent leaves" });

const passDeadlines = () => plane.pool.query("update upgrade_workers set asked_at = now() - interval '1 day'");

/** What the audit log has of each worker of an upgrade. */
async function audited(): Promise<object[]> {
  const { rows } = await plane.pool.query(
    "select actor, detail from audit_log where action = 'upgrade.worker' order by deployment_id, seq",
  );
  return rows;
}

describe("a worker that was asked and has not begun to run the new version", () => {
  const left = (workerId: string) => ({ actor: "control-plane", detail: { workerId, state: "left" } });

  it("makes room for the next one when it leaves, and is asked again when it comes back", async () => {
    const [first, second] = [await worker("i-1"), await worker("i-2")];
    const campaignId = await create();
    expect(await asked(first, second)).toEqual(["2.0.0", undefined]);
    await first.beat({ upgrade: { campaignId, state: "installing" } });
    await leave(first);

    expect(await asked(second)).toEqual(["2.0.0"]);
    expect(await shown()).toMatchObject({ state: "running", detail: null, asked: 1 });
    expect(await audited()).toContainEqual(left("i-1"));
    const back = await worker("i-1");
    expect(await asked(second, back)).toEqual(["2.0.0", undefined]);
    await upgraded("i-2", campaignId);
    expect(await asked(back)).toEqual(["2.0.0"]);
  });

  it("does not end an upgrade that is overdue when it leaves, nor when somebody says that it is gone", async () => {
    const [first, second] = [await worker("i-1"), await worker("i-2")];
    await create({ waveSize: 2 });
    await leave(first);
    await silence("i-2");
    const { operator, pool } = plane;
    const ref = { deploymentId: operator.deploymentId, sessionId: second.sessionId };
    expect(await declareGone(pool, QUICK, ref, "operator:test")).toBe(0);
    await passDeadlines();

    await step();
    expect(await shown()).toMatchObject({ state: "done", detail: null, asked: 0 });
  });

  it("keeps its room while it drains, is let go at its deadline, and waited for until it has left", async () => {
    const [first, second] = [await worker("i-1"), await worker("i-2")];
    const campaignId = await create();
    await first.beat({ state: "draining" });
    expect(await asked(second)).toEqual([undefined]);
    await silence("i-1");
    await passDeadlines();

    expect(await asked(second)).toEqual(["2.0.0"]);
    expect(await audited()).toEqual([left("i-1")]);
    await upgraded("i-2", campaignId);
    await step();
    expect(await shown()).toMatchObject({ state: "running", detail: "waits for i-1 (silent)" });
  });

  it("is let go at once when it says that it cannot, since it drains", async () => {
    const [first, second] = [await worker("i-1"), await worker("i-2")];
    const campaignId = await create();
    const upgrade = { campaignId, state: "failed", detail: "the worker drains" } as const;
    for (let times = 0; times < 2; times++) await first.beat({ state: "draining", upgrade });

    expect(await asked(first, second)).toEqual([undefined, "2.0.0"]);
    const detail = { workerId: "i-1", state: "left", detail: "the worker drains" };
    expect(await audited()).toEqual([{ actor: `session:${first.sessionId}`, detail }]);
  });

  it("keeps its room in a pause and while its next session is not open", async () => {
    const [first, second] = [await worker("i-1"), await worker("i-2")];
    const id = await create();
    await plane.operator.post(`/upgrades/${id}/pause`, {});
    await leave(first);
    const next = plane.worker("i-1");
    next.features = ["upgrade"];
    await next.register();
    await step();
    await plane.operator.post(`/upgrades/${id}/resume`, {});

    expect(await asked(second)).toEqual([undefined]);
    await next.beat();
    expect(await asked(next, second)).toEqual(["2.0.0", undefined]);
  });

  it("is not closed for a day's silence before its deadline, which a pause puts off", async () => {
    await Promise.all([worker("i-1"), worker("i-2")]);
    const id = await create();
    await plane.operator.post(`/upgrades/${id}/pause`, {});
    await plane.pool.query("update leases set expires_at = now() - interval '2 days'");
    expect(await closeVanished(plane.pool, QUICK)).toBe(1);

    await plane.operator.post(`/upgrades/${id}/resume`, {});
    await step();
    expect(await shown()).toMatchObject({ state: "running", asked: 1 });
    await passDeadlines();
    await step();
    expect(await shown()).toMatchObject({ state: "failed", detail: "i-1: was not healthy in time" });
    expect(await closeVanished(plane.pool, QUICK)).toBe(1);
  });
});

it.each<[string, (campaignId: string, old: TestWorker) => Promise<unknown>]>([
  ["goes silent", () => silence("i-1")],
  ["leaves with the new version", async () => await leave(await worker("i-1", "2.0.0"))],
  ["drains with the new version", async () => await (await worker("i-1", "2.0.0")).beat({ state: "draining" })],
])("control-plane 29: asks nobody else once a worker %s before it is healthy", async (_, event) => {
  const [first, second] = [await worker("i-1"), await worker("i-2")];
  const campaignId = await create();
  expect(await asked(first, second)).toEqual(["2.0.0", undefined]);
  await first.beat({ upgrade: { campaignId, state: "installing" } });
  await event(campaignId, first);

  expect(await asked(second)).toEqual([undefined]);
  await passDeadlines();
  expect(await asked(second)).toEqual([undefined]);
  expect(await shown()).toMatchObject({ state: "failed", detail: "i-1: was not healthy in time" });
});

it.each([
  ["twice", 2, "running", null],
  ["three times", 3, "failed", "i-1: was healthy and was started anew 3 times"],
])(
  "control-plane 29: goes by how often a healthy worker is started anew while it soaks: %s",
  async (_, starts, state, detail) => {
    const [, second] = [await worker("i-1"), await worker("i-2")];
    const campaignId = await create({ soakMs: 3_600_000 });
    await upgraded("i-1", campaignId);
    for (let start = 0; start < starts; start++) await worker("i-1", "2.0.0");

    expect(await asked(second)).toEqual([undefined]);
    expect(await shown()).toMatchObject({ state, detail });
  },
);

it("does not count how often a worker is started anew after its soak, also where a pause hid its end", async () => {
  await worker("i-1");
  const campaignId = await create({ soakMs: 3_600_000 });
  await upgraded("i-1", campaignId);
  await endSoak();
  for (let start = 0; start < 3; start++) await worker("i-1", "2.0.0");

  await step();
  expect(await shown()).toMatchObject({ state: "done", healthy: 1 });
});
