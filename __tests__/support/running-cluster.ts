import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../scripts/rolling-update/clock";
import type {
  ClusterAdapter,
  MemberSettings,
  Surroundings,
} from "../../scripts/rolling-update/clusters/cluster-adapter";
import type { ManifestNode } from "../../scripts/rolling-update/manifest";
import { ChannelError, type NodeChannel } from "../../scripts/rolling-update/node-channel";
import { freePorts, loopbackAddresses } from "../../scripts/rolling-update/simulator/loopback";
import { MemberProcess, type MemberProgram } from "../../scripts/rolling-update/simulator/member-process";

/** A cluster whose nodes a test can lose and bring back. */
export interface RunningCluster {
  readonly nodes: readonly ManifestNode[];
  /** With all the patience a loaded machine needs. */
  readonly adapter: ClusterAdapter;
  /** One that takes no answer after this time for none. */
  readonly adapterWithin: (timeoutMs: number) => ClusterAdapter;
  /** The machine is lost. */
  kill(nodeId: string): Promise<void>;
  /** It keeps its connections and answers nothing. */
  hold(nodeId: string): Promise<void>;
  revive(nodeId: string): void;
  isRunning(nodeId: string): boolean;
  close(): Promise<void>;
}

const STOP = ["stop-member"];
const START = ["start-member"];

/** What a test's channel understands, and limits that only a hang meets. */
export function memberSettingsWithin(timeoutMs: number): MemberSettings {
  return { timeoutMs, handOverTimeoutMs: PATIENCE_MS, stop: STOP, start: START };
}

/** Where the programs of a cluster run: an address each, ports free on all, a directory to keep data in. */
export interface Place {
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
  readonly directory: string;
}

export interface ServerKind {
  readonly nodes?: number;
  readonly ports: number;
  readonly program: (place: Place, index: number) => MemberProgram;
  readonly adapter: (surroundings: Surroundings, place: Place, member: MemberSettings) => ClusterAdapter;
}

const ATTEMPTS = 3;
export const PATIENCE_MS = 120_000;

/** Starts real servers as plain processes; a port that somebody took in the meantime costs another attempt. */
export async function startServers(kind: ServerKind): Promise<RunningCluster> {
  for (let attempt = 1; ; attempt++) {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-cluster-"));
    const addresses = loopbackAddresses(kind.nodes ?? 3);
    const place: Place = { addresses, ports: await freePorts(addresses, kind.ports), directory };
    const cluster = assemble(kind, place);
    try {
      await untilWell(cluster);
      return cluster;
    } catch (error) {
      await cluster.close();
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

function assemble(kind: ServerKind, place: Place): RunningCluster {
  const nodes = nodesAt(place.addresses);
  const members = new Map(nodes.map(({ id }, index) => [id, new MemberProcess(kind.program(place, index))]));
  const member = (nodeId: string): MemberProcess => {
    const found = members.get(nodeId);
    if (!found) throw new Error(`no node ${nodeId}`);
    return found;
  };
  const channel = stopsAndStarts({ stop: (id) => member(id).stop(), start: (id) => member(id).start() });
  const adapterWithin = (timeoutMs: number) =>
    kind.adapter({ nodes, clock: systemClock, channel }, place, memberSettingsWithin(timeoutMs));
  for (const each of members.values()) each.start();
  return {
    nodes,
    adapter: adapterWithin(PATIENCE_MS),
    adapterWithin,
    kill: (nodeId) => member(nodeId).kill(),
    hold: (nodeId) => member(nodeId).hold(),
    revive: (nodeId) => {
      member(nodeId).goOn();
      member(nodeId).start();
    },
    isRunning: (nodeId) => member(nodeId).isRunning,
    close: async () => {
      await Promise.all([...members.values()].map((each) => each.dispose()));
      rmSync(place.directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A channel on which a member can be stopped and started, and nothing else be run. */
export function stopsAndStarts(member: {
  readonly stop: (nodeId: string) => void | Promise<void>;
  readonly start: (nodeId: string) => void;
}): NodeChannel {
  return {
    run: async (nodeId, command) => {
      if (command === STOP) await member.stop(nodeId);
      else if (command === START) member.start(nodeId);
      else throw new ChannelError(nodeId, command, "no such program");
      return "";
    },
  };
}

/** Nodes of a manifest at these addresses, in three zones. */
export function nodesAt(addresses: readonly string[]): ManifestNode[] {
  return addresses.map((ip, index) => ({
    id: `0${index}`,
    group: `orders-node-0${index}`,
    interfaceId: `eni-0${index}`,
    volumeIds: [`vol-0${index}`],
    zone: `eu-west-1${"abc"[index % 3]}`,
    ip,
  }));
}

/** Waits until every node is well and one leads. @throws when a member ended, or after a limit that only a hang meets. */
export async function untilWell({ nodes, adapter, isRunning }: RunningCluster): Promise<void> {
  await eventually(async () => {
    const ended = nodes.find(({ id }) => !isRunning(id));
    if (ended) throw new Error(`the member of node ${ended.id} ended`);
    const health = await adapter.probe.health(nodes);
    const isWell = [...health.values()].every(({ ok }) => ok) && (await adapter.probe.leader(nodes)) !== undefined;
    return isWell ? undefined : JSON.stringify([...health]);
  });
}

/** Waits until `problem` gives none. */
export async function eventually(problem: () => Promise<string | undefined>): Promise<void> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  for (;;) {
    const current = await problem();
    if (current === undefined) return;
    if (Date.now() > deadlineMs) throw new Error(`still after ${PATIENCE_MS} ms: ${current}`);
    await systemClock.sleep(50);
  }
}
