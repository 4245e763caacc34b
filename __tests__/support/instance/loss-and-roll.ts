import type { ClusterLab } from "./cluster-lab";
import { type ClusterKind, isHealthy, probeOf, rolling, type Writer } from "./cluster-life";

/** A node whose machine was lost, and the machine that took its place. */
export interface SucceededNode {
  readonly address: string;
  readonly heir: {
    /** As its operating system shows them, each with the length of its prefix. */
    readonly addresses: string;
    readonly holdsFirstWrite: boolean;
  };
}

/** Takes the power from the leader's machine, and waits until the cluster is healthy with another in its place. */
export async function loseTheLeader(lab: ClusterLab, kind: ClusterKind, writer: Writer): Promise<SucceededNode> {
  const { nodes, probe } = await probeOf(lab, kind);
  const lost = (await probe.leader(nodes)) ?? "";
  const node = async () => (await lab.nodes()).find(({ nodeId }) => nodeId === lost);
  const before = await node();
  if (before === undefined) throw new Error(`no node of the cluster leads: the probe says "${lost}"`);

  const killedMs = Date.now();
  await (await lab.machine(lost)).kill();
  await lab.until("another instance is in its place", async () => {
    const now = await node();
    const isAnother = now?.instanceId !== before.instanceId && now?.lifecycle === "InService";
    return isAnother && isHealthy(lab, kind);
  });
  const returnedMs = Date.now();
  lab.measured({
    "lost leader to healthy ms": returnedMs - killedMs,
    "longest gap with a killed leader ms": writer.longestGapMs(killedMs, returnedMs),
  });

  const heir = await lab.machine(lost);
  return {
    address: before.address,
    heir: {
      addresses: await heir.exec("ip", "-brief", "addr", "show", "eth0"),
      holdsFirstWrite: await kind.holdsFirstWrite(heir, before.address),
    },
  };
}

/** What an apply has rolled. */
export interface RolledCluster {
  /** Of the resources that its plan changed, each once, in the order of the alphabet. */
  readonly changedTypes: readonly string[];
  readonly nodes: readonly {
    readonly nodeId: string;
    readonly lifecycle: string | undefined;
    readonly isReplaced: boolean;
  }[];
  readonly isHealthy: boolean;
  /** By the members' own logs: nodes that were not back when the next one stopped. */
  readonly absentTogether: readonly string[];
}

/** Applies another image, which replaces every node. */
export async function rollEveryNode(
  lab: ClusterLab,
  kind: ClusterKind,
  writer: Writer,
  image: string,
): Promise<RolledCluster> {
  const former = await lab.nodes();
  const stops = await Promise.all(
    former.map(async ({ nodeId }) => ({ nodeId, stopped: kind.stopped(await lab.machine(nodeId)) })),
  );
  lab.release({ node_image: image, ...rolling(kind) });
  const { changes } = await lab.terraform().plan();
  const startedMs = Date.now();
  await lab.terraform().apply("holdfast.tfplan");
  const endedMs = Date.now();
  lab.measured({
    "roll ms": endedMs - startedMs,
    "longest gap in the roll ms": writer.longestGapMs(startedMs, endedMs),
  });

  const latter = await lab.nodes();
  const healthy = await isHealthy(lab, kind);
  const absences = await Promise.all(
    stops.map(async ({ nodeId, stopped }) => ({
      nodeId,
      from: await stopped,
      until: await kind.served(await lab.machine(nodeId)),
    })),
  );
  absences.sort((a, b) => a.from - b.from);
  return {
    changedTypes: [...new Set(changes.map(({ type }) => type))].sort(),
    nodes: latter.map(({ nodeId, lifecycle, instanceId }, index) => ({
      nodeId,
      lifecycle,
      isReplaced: instanceId !== former[index]?.instanceId,
    })),
    isHealthy: healthy,
    absentTogether: absences.flatMap(({ nodeId, until }, index) => {
      const next = absences[index + 1];
      return next === undefined || until <= next.from ? [] : [`${nodeId} and ${next.nodeId}`];
    }),
  };
}
