import { systemClock } from "../../../../scripts/rolling-update/clock";
import { mongodbCluster, mongodbSettingsSchema } from "../../../../scripts/rolling-update/clusters/mongodb";
import { conforms } from "../../../support/adapter-conformance";
import { fakeCluster } from "../../../support/fake-members";
import { CONNECTION_FILE, runMongosh } from "../../../support/fake-mongodb";
import { memberSettingsWithin, nodesAt } from "../../../support/running-cluster";

describe("the MongoDB adapter on a shell that runs its scripts", () => {
  const cluster = conforms(async () =>
    fakeCluster(runMongosh, (surroundings, member) => {
      const settings = mongodbSettingsSchema.parse({ kind: "mongodb", connectionFile: CONNECTION_FILE });
      return mongodbCluster(surroundings, { ...settings, ...member });
    }),
  );

  test("R11: the member that is left of three sees no primary, and nobody may go", async () => {
    const last = await cluster.loseFollowers();

    expect(await cluster.healthOf(last)).toEqual({ ok: false, reason: "sees no primary" });
    await expect(cluster.leader()).rejects.toThrow("nobody leads");
    expect(await cluster.canRoll(last)).toEqual({ ok: false, reason: "no member that stays is well" });
  });
});

describe("the MongoDB adapter on what a member says of the set", () => {
  const [own, ...others] = nodesAt(["10.0.0.10", "10.0.0.11", "10.0.0.12"]);
  if (own === undefined) throw new Error("there are three nodes");
  const PRIMARY = { name: "a:27017", health: 1, stateStr: "PRIMARY", appliedMs: 60_000, votes: 1, self: false };
  const SECONDARY = { name: "b:27017", health: 1, stateStr: "SECONDARY", appliedMs: 60_000, votes: 1, self: true };
  const ARBITER = { name: "b:27017", health: 1, stateStr: "ARBITER", votes: 1, self: true };
  /** Every member answers with this view of itself and the primary. */
  const probeOf = (...members: readonly object[]) => {
    const view = JSON.stringify({ majority: 2, writeMajority: 2, members });
    const channel = { run: async () => `a word of greeting\n${view}\n` };
    const settings = mongodbSettingsSchema.parse({ kind: "mongodb", connectionFile: CONNECTION_FILE });
    const surroundings = { nodes: [own, ...others], clock: systemClock, channel };
    return mongodbCluster(surroundings, { ...settings, ...memberSettingsWithin(1_000) }).probe;
  };
  const health = async (...members: readonly object[]) => (await probeOf(...members).health([own])).get(own.id);

  test("R11: a secondary is well up to 10 s behind the primary", async () => {
    expect(await health(PRIMARY, { ...SECONDARY, appliedMs: 50_000 })).toEqual({ ok: true });
    expect(await health(PRIMARY, { ...SECONDARY, appliedMs: 49_999 })).toEqual({
      ok: false,
      reason: "lags 10001 ms behind the primary",
    });
  });

  test.each([
    ["a member that copies the set still", [PRIMARY, { ...SECONDARY, stateStr: "STARTUP2" }], "is STARTUP2"],
    ["one that was taken out of the set", [PRIMARY], "is no member of the replica set"],
    ["one whose primary does not answer it", [{ ...PRIMARY, health: 0 }, SECONDARY], "sees no primary"],
  ])("R11: %s is not well", async (_what, members, reason) => {
    expect(await health(...members)).toEqual({ ok: false, reason });
  });

  test("R11: an arbiter is well and votes, and is no copy that majority writes could count on", async () => {
    expect(await health(PRIMARY, ARBITER)).toEqual({ ok: true });
    expect(await probeOf(PRIMARY, ARBITER).canRoll([own], [own, ...others])).toEqual({
      ok: false,
      reason: "0 members with data would stay, majority writes need 2",
    });
    expect(await probeOf(PRIMARY, SECONDARY).canRoll([own], [own, ...others])).toEqual({ ok: true });
  });
});
