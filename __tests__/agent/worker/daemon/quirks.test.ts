import { compareVersions, daemonQuirks } from "../../../../agent/worker/daemon/quirks";

test("versions in the order of their releases, a pre-release before its own", () => {
  const ordered = [
    "0.9.0",
    "1.0.0-alpha",
    "1.0.0-rc.2",
    "1.0.0-rc.10",
    "1.0.0",
    "1.0.1",
    "1.2",
    "1.10.0",
    "2.0.0-1",
    "2",
  ];
  for (const [i, one] of ordered.entries()) {
    for (const [j, other] of ordered.entries()) {
      expect([one, other, Math.sign(compareVersions(one, other))]).toEqual([one, other, Math.sign(i - j)]);
    }
  }
  expect(compareVersions("1.0.0+build.2", "1.0.0+build.1")).toBe(0);
});

test("a daemon has the faults of the newest known version that is not newer; a daemon of an unknown version those of the first", () => {
  const dbmazz = {
    inactiveSlotDropped: true,
    failedSetupHangs: true,
    failedSnapshotStreams: true,
    exit0OnStreamError: true,
    plainConnectionsOnly: true,
  };
  for (const version of ["1.0.0", "2.0.0", "2.4.0", "none"]) {
    expect(daemonQuirks({ kind: "dbmazz", version })).toEqual(dbmazz);
  }
  expect(Object.values(daemonQuirks({ kind: "reference", version: "0.1.0" }))).toEqual(Array(5).fill(false));
});
