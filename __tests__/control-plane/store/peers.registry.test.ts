import { type Peer, startPeer } from "../../../scripts/bench-control-plane/peer-process";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";

let postgres: TestPostgres;
let peer: Peer | undefined;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterEach(() => peer?.stop(), 60_000);
afterAll(() => postgres.stop(), 60_000);

const peerHere = async (queue: "graphile-worker" | "pg-boss"): Promise<Peer> => {
  const { url } = await postgres.freshDatabase({ migrated: false });
  peer = await startPeer(queue, url, 4);
  return peer;
};

/** Why every write here names a fence: queues without one take the end of a job from a worker that has lost it. */
describe("control-plane 4: the end of a job, told by a worker that lost it", () => {
  it("control-plane 4: graphile-worker deletes the job that another worker runs", async () => {
    const { lost, held, before, after } = await (await peerHere("graphile-worker")).completeStale();

    expect(before).toEqual([held]);
    expect(after).toEqual([]);
    expect(held).not.toBe(lost);
  }, 300_000);

  it("control-plane 4: pg-boss marks the job completed that another worker runs, unless it is told the attempt", async () => {
    const { lost, held, byAttempt, byId } = await (await peerHere("pg-boss")).completeStale();

    expect(held).toBe(lost);
    expect(byAttempt).toEqual(["active"]);
    expect(byId).toEqual(["completed"]);
  }, 300_000);
});

it("a peer whose process ends says why", async () => {
  await expect(startPeer("pg-boss", "postgres://127.0.0.1:1/none", 1)).rejects.toThrow(
    /^pg-boss [\d.]+ ended with 1:\n[\s\S]*ECONNREFUSED/,
  );
}, 300_000);
