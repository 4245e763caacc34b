import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEnd } from "../before-end";
import { realTime } from "../emulator/scheduler";
import { systemClock } from "../rolling-update/clock";
import type { ClusterAdapter } from "../rolling-update/clusters/cluster-adapter";
import { etcdCluster, etcdSettingsSchema } from "../rolling-update/clusters/etcd";
import { jsonHttp } from "../rolling-update/clusters/json-http";
import type { NodeChannel } from "../rolling-update/node-channel";
import { roll } from "../rolling-update/roll";
import type { Outcome } from "../rolling-update/roll-ports";
import { parseSettings } from "../rolling-update/settings";
import { freePorts, loopbackAddresses } from "../rolling-update/simulator/loopback";
import { MemberProcess } from "../rolling-update/simulator/member-process";
import { MemoryStore } from "../rolling-update/simulator/memory-store";
import { ProcessGuests } from "../rolling-update/simulator/process-guests";
import { SimulatedRegion } from "../rolling-update/simulator/simulated-region";
import { thisProcess } from "../rolling-update/simulator/this-process";
import { etcdMember } from "./servers/etcd-member";
import { SteadyWriter } from "./servers/steady-writer";

export interface EtcdRoll {
  readonly outcome: Outcome;
  /** Nodes in the order their instances were taken out. */
  readonly order: readonly string[];
  /** Nodes that led when their drain began, and those that still led when their member was stopped. */
  readonly ledWhenDrained: readonly string[];
  readonly ledWhenStopped: readonly string[];
  /** Terms that began during the roll: one for each time leadership moved, one for each election that failed. */
  readonly termsOfRoll: number;
  readonly rollMs: number;
  /** Longest time without an acknowledged write: during the roll, and after the leader was killed with the roll over. */
  readonly rollGapMs: number;
  readonly killGapMs: number;
  readonly acknowledged: number;
  readonly lost: readonly string[];
}

const ATTEMPTS = 3;
const LIMIT_MS = 180_000;

interface Cluster {
  readonly region: SimulatedRegion;
  readonly members: ReadonlyMap<string, MemberProcess>;
  readonly clientPort: number;
  close(): Promise<void>;
}

/**
 * Rolls an etcd cluster of three real members, on the instances of simulated groups, under a steady writer; then kills its
 * leader, for comparison.
 * @param electionTimeoutMs how long followers do without a word of the leader before they elect another
 */
export async function rollEtcd(electionTimeoutMs = 1_000): Promise<EtcdRoll> {
  const cluster = await startCluster(electionTimeoutMs);
  const { region, members, clientPort } = cluster;
  const { nodes } = region.manifest;
  const watched = watch(cluster);
  const { probe, drain } = watched.adapter;
  const writer = new SteadyWriter(nodes.map(({ ip }) => `http://${ip}:${clientPort}`));
  const term = () => highestTerm(cluster);
  try {
    writer.start();
    await until("the first writes", async () => writer.acknowledged > 50);

    region.release();
    const [startedMs, firstTerm] = [Date.now(), await term()];
    const outcome = await roll(
      {
        cloud: region.connect(thisProcess),
        clock: thisProcess,
        store: new MemoryStore(),
        probe,
        drain,
        report: () => {},
      },
      region.deployment(),
      parseSettings({ pollMs: 100, successes: 2 }),
      { owner: "bench" },
    );
    const [rolledMs, lastTerm] = [Date.now(), await term()];

    const leader = (await probe.leader(nodes)) ?? "";
    const [killedMs, written] = [Date.now(), writer.acknowledged];
    await members.get(leader)?.kill();
    await until("writes without the killed leader", async () => writer.acknowledged > written + 50);
    const recoveredMs = Date.now();
    members.get(leader)?.start();
    await until("the killed member's return", async () => (await unwell(cluster)) === undefined);
    await writer.stop();
    return {
      outcome,
      order: watched.order,
      ledWhenDrained: watched.ledWhenDrained,
      ledWhenStopped: watched.ledWhenStopped,
      termsOfRoll: lastTerm - firstTerm,
      rollMs: rolledMs - startedMs,
      rollGapMs: writer.longestGapMs(startedMs, rolledMs),
      killGapMs: writer.longestGapMs(killedMs, recoveredMs),
      acknowledged: writer.acknowledged,
      lost: await writer.lost(),
    };
  } finally {
    writer.abandon();
    await cluster.close();
  }
}

/** A port that somebody took in the meantime costs another attempt. */
async function startCluster(electionTimeoutMs: number): Promise<Cluster> {
  for (let attempt = 1; ; attempt++) {
    const cluster = await assemble(electionTimeoutMs);
    try {
      await until("the cluster to serve", async () => {
        const ended = [...cluster.members.values()].find(({ isRunning, output }) => !isRunning && output !== "");
        if (ended) throw new Error(`a member ended: ${ended.output}`);
        return (await unwell(cluster)) === undefined;
      });
      return cluster;
    } catch (error) {
      await cluster.close();
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function assemble(electionTimeoutMs: number): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-etcd-"));
  const addresses = loopbackAddresses(3);
  const [clientPort = 0, peerPort = 0] = await freePorts(addresses, 2);
  const time = realTime();
  const region = new SimulatedRegion(time, {
    addresses,
    ec2: { startMs: () => 200, shutdownMs: () => 500, detachMs: () => 100 },
    autoScaling: { noticeMs: 100 },
  });
  const place = { addresses, clientPort, peerPort, directory, electionTimeoutMs };
  const members = new Map(
    region.manifest.nodes.map(({ id }, index) => [id, new MemberProcess(etcdMember(place, index))]),
  );
  const { probe } = adapterOf(region, clientPort);
  new ProcessGuests(region, members, async (node) => (await probe.health([node])).get(node.id)?.ok === true);
  return {
    region,
    members,
    clientPort,
    close: beforeEnd(async () => {
      time.stop();
      await Promise.all([...members.values()].map((member) => member.dispose()));
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    }),
  };
}

function adapterOf({ manifest }: SimulatedRegion, port: number, channel?: NodeChannel): ClusterAdapter {
  const surroundings = { nodes: manifest.nodes, clock: systemClock, ...(channel ? { channel } : {}) };
  return etcdCluster(surroundings, etcdSettingsSchema.parse({ kind: "etcd", port, timeoutMs: 20_000 }));
}

/** The adapter with a note of who led when, and of whom the roller took out. */
function watch({ region, members, clientPort }: Cluster) {
  const order: string[] = [];
  const ledWhenDrained: string[] = [];
  const ledWhenStopped: string[] = [];
  const leader = () => adapterOf(region, clientPort).probe.leader(region.manifest.nodes);
  const channel: NodeChannel = {
    run: async (nodeId, [, verb]) => {
      if ((await leader()) === nodeId) ledWhenStopped.push(nodeId);
      if (verb === "stop") await members.get(nodeId)?.stop();
      else members.get(nodeId)?.start();
      return "";
    },
  };
  const { probe, drain } = adapterOf(region, clientPort, channel);
  region.onRemoval = (instanceId) => order.push(region.nodeOf(instanceId) ?? "?");
  const adapter: ClusterAdapter = {
    probe,
    drain: {
      ...drain,
      drain: async (target) => {
        if ((await leader()) === target.nodeId) ledWhenDrained.push(target.nodeId);
        await drain.drain(target);
      },
    },
  };
  return { adapter, order, ledWhenDrained, ledWhenStopped };
}

/** Why the cluster does not serve from an instance in service on every node, undefined when it does. */
async function unwell({ region, clientPort }: Cluster): Promise<string | undefined> {
  const { nodes } = region.manifest;
  const waiting = nodes.find(({ group }) => region.group(group).instances[0]?.lifecycle !== "InService");
  if (waiting) return `node ${waiting.id} is not in service`;
  const health = await adapterOf(region, clientPort).probe.health(nodes);
  return nodes.map(({ id }) => id).find((id) => health.get(id)?.ok !== true);
}

async function highestTerm({ region, clientPort }: Cluster): Promise<number> {
  const http = jsonHttp(20_000);
  const terms = region.manifest.nodes.map(async ({ ip }) => {
    const url = `http://${ip}:${clientPort}/v3/maintenance/status`;
    const { body } = await http({ method: "POST", url, body: {} });
    return Number((body as { header: { raft_term: string } }).header.raft_term);
  });
  return Math.max(...(await Promise.all(terms)));
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${LIMIT_MS} ms for ${what}`);
    await systemClock.sleep(20);
  }
}
