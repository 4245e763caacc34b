import type { NodeHealth } from "../../scripts/rolling-update/probe";
import { eventually, type RunningCluster, untilWell } from "./running-cluster";

const target = (nodeId: string, ip: string) => ({ nodeId, ip, instanceId: "i-1", group: `orders-node-${nodeId}` });

/** Questions that tests put to the cluster of {@link conforms}, by the nodes' ids. */
export interface ConformingCluster {
  healthOf(nodeId: string): Promise<NodeHealth | undefined>;
  /** Whether these may go together. */
  canRoll(...nodeIds: string[]): Promise<NodeHealth>;
  /** @throws Error where nobody leads */
  leader(): Promise<string>;
  /** Loses the machines of all but the leader, which is returned. */
  loseFollowers(): Promise<string>;
}

/**
 * What every cluster adapter shows on a cluster of three that really runs. One cluster for all of it, and for what its own
 * file expects of it besides: after each test what it took is put back.
 */
export function conforms(start: () => Promise<RunningCluster>): ConformingCluster {
  let cluster: RunningCluster;
  beforeAll(async () => {
    cluster = await start();
  }, 400_000);
  afterAll(() => cluster?.close(), 120_000);
  afterEach(async () => {
    for (const { id } of cluster.nodes) cluster.revive(id);
    await untilWell(cluster);
  }, 200_000);

  const healthOf = async (nodeId: string): Promise<NodeHealth | undefined> =>
    (await cluster.adapter.probe.health(cluster.nodes)).get(nodeId);
  const canRoll = (...ids: string[]) =>
    cluster.adapter.probe.canRoll(
      cluster.nodes.filter(({ id }) => ids.includes(id)),
      cluster.nodes,
    );
  const leader = async (): Promise<string> => {
    const id = await cluster.adapter.probe.leader(cluster.nodes);
    if (id === undefined) throw new Error("nobody leads");
    return id;
  };
  const follower = async (): Promise<string> => {
    const leading = await leader();
    return cluster.nodes.find(({ id }) => id !== leading)?.id ?? "";
  };
  const loseFollowers = async (): Promise<string> => {
    const leading = await leader();
    for (const { id } of cluster.nodes) if (id !== leading) await cluster.kill(id);
    return leading;
  };
  const ipOf = (nodeId: string) => cluster.nodes.find(({ id }) => id === nodeId)?.ip ?? "";
  const drain = (nodeId: string) => cluster.adapter.drain.drain(target(nodeId, ipOf(nodeId)));
  const undrain = (nodeId: string) => cluster.adapter.drain.undrain(target(nodeId, ipOf(nodeId)));
  /** The others go on: what they say about a lost or stopped node may take them a moment. */
  const untilAllWellBut = (lost: string) =>
    eventually(async () => {
      const health = await cluster.adapter.probe.health(cluster.nodes);
      const unwell = [...health].filter(([id, { ok }]) => id !== lost && !ok);
      return unwell.length > 0 ? JSON.stringify(unwell) : undefined;
    });

  test("R11: every node of a well cluster is well, one leads, and any one may go", async () => {
    for (const { id } of cluster.nodes) {
      expect(await healthOf(id)).toEqual({ ok: true });
      expect(await canRoll(id)).toEqual({ ok: true });
    }
    expect(cluster.nodes.map(({ id }) => id)).toContain(await leader());
  });

  test("R11: no two of three may go together, nor all", async () => {
    expect(await canRoll("00", "01")).toMatchObject({ ok: false });
    expect(await canRoll("01", "02")).toMatchObject({ ok: false });
    expect(await canRoll("00", "01", "02")).toMatchObject({ ok: false });
  });

  test("R11: a node that is lost is not well; it may be replaced, and no other", async () => {
    const lost = await follower();
    await cluster.kill(lost);
    await untilAllWellBut(lost);

    expect(await healthOf(lost)).toMatchObject({ ok: false, reason: expect.stringMatching(/./) });
    expect(await canRoll(lost)).toEqual({ ok: true });
    for (const { id } of cluster.nodes) if (id !== lost) expect(await canRoll(id)).toMatchObject({ ok: false });
  }, 200_000);

  test("R11: a node that hangs is answered for within the limit of a question", async () => {
    const hanging = await follower();
    const node = cluster.nodes.filter(({ id }) => id === hanging);
    const { probe } = cluster.adapterWithin(1_000);
    await cluster.hold(hanging);

    expect([...(await probe.health(node)).values()]).toMatchObject([{ ok: false }]);
    await eventually(async () => {
      const verdict = await probe.canRoll(node, cluster.nodes);
      return verdict.ok ? undefined : verdict.reason;
    });
  }, 200_000);

  test("R11: the leader hands over and is stopped cleanly before it goes, and comes back when it stays after all", async () => {
    const former = await leader();

    await drain(former);

    expect(cluster.isRunning(former)).toBe(false);
    expect(await leader()).not.toBe(former);
    await untilAllWellBut(former);
    expect(await canRoll(former)).toEqual({ ok: true });

    await undrain(former);
    await untilWell(cluster);
  }, 200_000);

  test("R11: a follower is stopped without the leader being moved, and again without harm", async () => {
    const leading = await leader();
    const going = await follower();

    await drain(going);
    await drain(going);

    expect(cluster.isRunning(going)).toBe(false);
    expect(await leader()).toBe(leading);
  }, 200_000);

  test("R11: nothing is moved or stopped while the others would not stand", async () => {
    const leading = await leader();
    const lost = await follower();
    await cluster.kill(lost);
    await untilAllWellBut(lost);

    await expect(drain(leading)).rejects.toThrow(/was left as it was/);

    expect(cluster.isRunning(leading)).toBe(true);
    expect(await leader()).toBe(leading);
  }, 200_000);

  return { healthOf, canRoll, leader, loseFollowers };
}
