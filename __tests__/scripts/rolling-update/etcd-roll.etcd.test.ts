import { type EtcdRoll, rollEtcd } from "../../../scripts/bench-rolling/etcd-roll";

/** Longer than a loaded machine keeps a process waiting: leadership moves when the roll moves it, or the kill does. */
const ELECTION_TIMEOUT_MS = 5_000;

describe("a real etcd cluster of three, rolled under writes", () => {
  let rolled: EtcdRoll;
  beforeAll(async () => {
    rolled = await rollEtcd(ELECTION_TIMEOUT_MS);
  }, 600_000);

  test("R11: every node is replaced once", () => {
    expect(rolled.outcome.status).toBe("done");
    expect([...rolled.order].sort()).toEqual(["00", "01", "02"]);
  });

  test("R12: the leader goes last, and leads no more when its member is stopped", () => {
    expect(rolled.ledWhenDrained).toEqual(rolled.order.slice(-1));
    expect(rolled.ledWhenStopped).toEqual([]);
  });

  test("R12: handing over costs one term: nobody had to notice that the leader was gone", () => {
    expect(rolled.termsOfRoll).toBe(1);
  });

  test("R11: no acknowledged write is lost, by the roll or by the kill of the leader after it", () => {
    expect(rolled.acknowledged).toBeGreaterThan(100);
    expect(rolled.lost).toEqual([]);
  });
});
