import type { RefreshPreferences } from "../../../../scripts/emulator/auto-scaling/instance-refresh";
import { MINUTE_MS, NAME, virtualGroups } from "../../../support/virtual-groups";

const preferences = (change: Partial<RefreshPreferences> = {}): RefreshPreferences => ({
  minHealthyPercent: 90,
  maxHealthyPercent: 100,
  warmupMs: 30_000,
  checkpoints: [],
  checkpointDelayMs: 60 * MINUTE_MS,
  skipMatching: false,
  autoRollback: false,
  protectedInstances: "Wait",
  ...change,
});
const to = (version: string) => ({ template: { id: "lt-1", version } });
const target = { apply: to("2"), restore: to("1"), restored: () => {} };

async function running(desired = 4) {
  const world = virtualGroups();
  world.create({ desired });
  await world.pass(5 * MINUTE_MS);
  const versions = () => world.inService().map(({ template }) => template?.version);
  /** How few and how many instances there were, looked at every second until the refresh is over. */
  const watch = async () => {
    let [fewest, most] = [Number.POSITIVE_INFINITY, 0];
    const [refresh] = world.refreshes.of(NAME);
    for (let second = 0; second < 7_200 && refresh?.endedMs === undefined; second++) {
      await world.pass(1_000);
      fewest = Math.min(fewest, world.inService().length);
      most = Math.max(most, world.group().instances.filter(({ lifecycle }) => !lifecycle.startsWith("Term")).length);
    }
    return { fewest, most, refresh };
  };
  return { ...world, versions, watch };
}

test("without room above the desired number, old instances go as far as the minimum allows", async () => {
  const { refreshes, versions, watch } = await running();
  await refreshes.start(NAME, preferences({ minHealthyPercent: 50 }), target);

  const { fewest, most, refresh } = await watch();

  expect(refresh).toMatchObject({ status: "Successful", percentComplete: 100, instancesToUpdate: 0 });
  expect(versions()).toEqual(["2", "2", "2", "2"]);
  expect([fewest, most]).toEqual([2, 4]);
});

test("where the minimum allows none to go, one goes at a time", async () => {
  const { refreshes, watch } = await running();
  await refreshes.start(NAME, preferences({ minHealthyPercent: 100 }), target);

  expect(await watch()).toMatchObject({ fewest: 3, most: 4, refresh: { status: "Successful" } });
});

test("with room, new instances are in service before old ones go", async () => {
  const { refreshes, versions, watch } = await running();
  await refreshes.start(NAME, preferences({ minHealthyPercent: 100, maxHealthyPercent: 150 }), target);

  expect(await watch()).toMatchObject({ fewest: 4, most: 6, refresh: { status: "Successful" } });
  expect(versions()).toEqual(["2", "2", "2", "2"]);
});

test("instances that match are skipped where that was asked for, and replaced where not", async () => {
  const { refreshes, orders, watch } = await running(2);
  await refreshes.start(NAME, preferences({ skipMatching: true }));
  expect((await watch()).refresh?.status).toBe("Successful");
  expect(orders).toHaveLength(2);

  await refreshes.start(NAME, preferences());
  expect((await watch()).refresh?.status).toBe("Successful");
  expect(orders).toHaveLength(4);
});

test("a checkpoint holds it until its delay has passed", async () => {
  const { refreshes, versions, pass, watch } = await running();
  await refreshes.start(NAME, preferences({ minHealthyPercent: 50, checkpoints: [25, 100] }), target);
  await pass(30 * MINUTE_MS);

  expect(refreshes.of(NAME)).toMatchObject([{ status: "InProgress", percentComplete: 25, instancesToUpdate: 3 }]);
  expect(versions().sort()).toEqual(["1", "1", "1", "2"]);

  expect((await watch()).refresh?.status).toBe("Successful");
});

test("an instance that is protected from scale-in is waited for, let be or replaced, as it was asked for", async () => {
  const protectedOne = async (protectedInstances: RefreshPreferences["protectedInstances"]) => {
    const world = await running(2);
    world.groups.protect("i-1", true);
    await world.refreshes.start(NAME, preferences({ protectedInstances }), target);
    await world.pass(10 * MINUTE_MS);
    return { ...world, status: world.refreshes.of(NAME)[0]?.status };
  };

  const waits = await protectedOne("Wait");
  expect([waits.status, ...waits.versions()]).toEqual(["InProgress", "1", "2"]);
  waits.groups.protect("i-1", false);
  expect((await waits.watch()).refresh?.status).toBe("Successful");

  const ignores = await protectedOne("Ignore");
  expect([ignores.status, ...ignores.versions()]).toEqual(["Successful", "1", "2"]);

  const replaces = await protectedOne("Refresh");
  expect([replaces.status, ...replaces.versions()]).toEqual(["Successful", "2", "2"]);
});

test("one refresh at a time; cancelled, it replaces no more, and what it began is finished", async () => {
  const { refreshes, versions, pass } = await running();
  await refreshes.start(NAME, preferences(), target);
  await expect(refreshes.start(NAME, preferences())).rejects.toMatchObject({ code: "InstanceRefreshInProgress" });
  await pass(10_000);

  refreshes.cancel(NAME);
  await pass(5 * MINUTE_MS);

  expect(refreshes.of(NAME)).toMatchObject([{ status: "Cancelled" }]);
  expect(versions().sort()).toEqual(["1", "1", "1", "2"]);
  expect(() => refreshes.cancel(NAME)).toThrow(expect.objectContaining({ code: "ActiveInstanceRefreshNotFound" }));
});

test("rolled back, everything is what it was", async () => {
  const { refreshes, versions, pass, group, watch } = await running();
  await refreshes.start(NAME, preferences(), target);
  await pass(2 * MINUTE_MS);

  await refreshes.rollback(NAME);

  expect((await watch()).refresh?.status).toBe("RollbackSuccessful");
  expect(versions()).toEqual(["1", "1", "1", "1"]);
  expect(group().template).toEqual({ id: "lt-1", version: "1" });
});

test("without progress for an hour it fails, and rolls back by itself where it may", async () => {
  const { refreshes, refuse, pass } = await running(2);
  refuse("The image id '[ami-1]' does not exist");
  await refreshes.start(NAME, preferences(), target);
  await pass(70 * MINUTE_MS);
  expect(refreshes.of(NAME)).toMatchObject([{ status: "Failed" }]);

  const other = await running(2);
  other.refuse("The image id '[ami-1]' does not exist");
  await other.refreshes.start(NAME, preferences({ autoRollback: true }), target);
  await other.pass(70 * MINUTE_MS);
  other.refuse(undefined);
  expect((await other.watch()).refresh?.status).toBe("RollbackSuccessful");
  expect(other.versions()).toEqual(["1", "1"]);
});
