import { snapshotSees } from "../../../agent/daemon/source/transactions";

test.each<[number, string, boolean]>([
  [99, "100:100:", true],
  [100, "100:100:", false],
  [101, "100:100:", false],
  [97, "95:100:95,98", true],
  [98, "95:100:95,98", false],
  // The log has 32 bits of the id: the rest counts how often they began again.
  [98, "4294967391:4294967396:4294967391,4294967394", false],
  [97, "4294967391:4294967396:4294967391,4294967394", true],
  [4294967290, "4294967300:4294967300:", true],
  [3, "4294967295:4294967295:", false],
])("transaction %d in snapshot %s is seen: %s", (xid, snapshot, seen) => {
  expect(snapshotSees(snapshot, xid)).toBe(seen);
});
