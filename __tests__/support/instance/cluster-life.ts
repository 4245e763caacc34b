import type { Machine } from "../../../scripts/emulator/machines";
import { systemClock } from "../../../scripts/rolling-update/clock";
import type { ClusterSettings } from "../../../scripts/rolling-update/clusters/kinds";
import { clusterAdapter } from "../../../scripts/rolling-update/clusters/kinds";
import type { ClusterProbe } from "../../../scripts/rolling-update/probe";
import type { ClusterLab } from "./cluster-lab";

/** A client that begins a write every 20 ms, and knows which were acknowledged when. */
export interface Writer {
  readonly acknowledged: number;
  start(): void | Promise<void>;
  /** Waits until all that were begun are acknowledged. */
  stop(): Promise<void>;
  abandon(): void;
  longestGapMs(fromMs: number, toMs: number): number;
  /** Acknowledged writes that the cluster does not hold. */
  lost(): Promise<string[]>;
}

/** What a test must know of a kind of cluster. */
export interface ClusterKind {
  readonly settings: ClusterSettings;
  readonly writer: (addresses: readonly string[]) => Writer;
  /** Whether one member, asked alone, holds the first write. */
  readonly holdsFirstWrite: (machine: Machine, address: string) => Promise<boolean>;
  /** By its own log: when the member, whose machine is going to end, began to stop. */
  readonly stopped: (machine: Machine) => Promise<number>;
  /** By its own log: when the member began to serve. */
  readonly served: (machine: Machine) => Promise<number>;
}

/** Inputs with which an apply rolls what it changes. */
export function rolling({ settings: { kind } }: Pick<ClusterKind, "settings">, ...options: readonly string[]) {
  const application = ["--application", JSON.stringify({ kind })];
  return {
    // A gate that stays closed has to say why before the test is out of patience.
    rolling_update: {
      when: "apply",
      options: ["--poll", "1s", "--successes", "1", "--gate-timeout", "5m", ...application, ...options],
    },
  };
}

/** The cluster as its own protocol shows it. */
export async function probeOf(lab: ClusterLab, { settings }: Pick<ClusterKind, "settings">) {
  const nodes = (await lab.nodes()).map(({ nodeId, group, address }) => ({
    id: nodeId,
    group,
    ip: address,
    interfaceId: "eni-0",
    volumeIds: [],
    zone: "",
  }));
  // Asked directly: nothing here needs a way into the nodes.
  const channel = { run: () => Promise.reject(new Error("no channel")) };
  const probe: ClusterProbe = clusterAdapter({ nodes, clock: systemClock, channel }, settings).probe;
  return { nodes, probe };
}

export async function isHealthy(lab: ClusterLab, kind: Pick<ClusterKind, "settings">): Promise<boolean> {
  const { nodes, probe } = await probeOf(lab, kind);
  return [...(await probe.health(nodes)).values()].every(({ ok }) => ok);
}

/** Writes to a cluster while `during` happens; tells what that gave, and the acknowledged writes that the cluster lost. */
export async function underWrites<T>(
  lab: ClusterLab,
  kind: ClusterKind,
  during: (writer: Writer) => Promise<T>,
): Promise<{ readonly seen: T; readonly lostWrites: readonly string[] }> {
  const writer = kind.writer((await lab.nodes()).map(({ address }) => address));
  try {
    await writer.start();
    await lab.until("the first writes", async () => writer.acknowledged > 50);
    const seen = await during(writer);
    await writer.stop();
    lab.measured({ "acknowledged writes": writer.acknowledged });
    return { seen, lostWrites: await writer.lost() };
  } finally {
    writer.abandon();
  }
}
