import type { ClusterLab } from "./cluster-lab";
import { type ClusterKind, isHealthy, probeOf, rolling, type Writer } from "./cluster-life";

/** Takes the power from the leader's machine: the node comes back with its address and its data. */
export async function loseTheLeader(lab: ClusterLab, kind: ClusterKind, writer: Writer): Promise<void> {
  const { nodes, probe } = await probeOf(lab, kind);
  const lost = (await probe.leader(nodes)) ?? "";
  const node = async () => (await lab.nodes()).find(({ nodeId }) => nodeId === lost);
  const before = await node();

  const killedMs = Date.now();
  await (await lab.machine(lost)).kill();
  await lab.until("another instance is in its place", async () => {
    const now = await node();
    const isAnother = now?.instanceId !== before?.instanceId && now?.lifecycle === "InService";
    return isAnother && isHealthy(lab, kind);
  });
  const returnedMs = Date.now();

  const heir = await lab.machine(lost);
  expect(await heir.exec("ip", "-brief", "addr", "show", "eth0")).toContain(`${before?.address}/32`);
  expect(await kind.holdsFirstWrite(heir, before?.address ?? "")).toBe(true);
  lab.measured({
    "lost leader to healthy ms": returnedMs - killedMs,
    "longest gap with a killed leader ms": writer.longestGapMs(killedMs, returnedMs),
  });
}

/** Applies another image: every node is replaced, and by the members' own logs at most one is down at any moment. */
export async function rollEveryNode(lab: ClusterLab, kind: ClusterKind, writer: Writer, image: string): Promise<void> {
  const former = await lab.nodes();
  const stops = await Promise.all(
    former.map(async ({ nodeId }) => ({ nodeId, stopped: kind.stopped(await lab.machine(nodeId)) })),
  );
  lab.release({ node_image: image, ...rolling(kind) });
  const { changes } = await lab.terraform().plan();
  const startedMs = Date.now();
  await lab.terraform().apply("holdfast.tfplan");
  const endedMs = Date.now();

  // Nothing but the release has changed, though nodes tag their volumes and instances.
  expect(new Set(changes.map(({ type }) => type))).toEqual(
    new Set(["aws_autoscaling_group", "aws_launch_template", "null_resource"]),
  );
  const latter = await lab.nodes();
  expect(latter.map(({ lifecycle }) => lifecycle)).toEqual(former.map(() => "InService"));
  for (const [index, { instanceId }] of latter.entries()) expect(instanceId).not.toBe(former[index]?.instanceId);
  expect(await isHealthy(lab, kind)).toBe(true);

  const absences = await Promise.all(
    stops.map(async ({ nodeId, stopped }) => ({
      from: await stopped,
      until: await kind.served(await lab.machine(nodeId)),
    })),
  );
  absences.sort((a, b) => a.from - b.from);
  for (const [index, { until }] of absences.slice(0, -1).entries()) {
    expect(until).toBeLessThanOrEqual(absences[index + 1]?.from ?? 0);
  }
  lab.measured({
    "roll ms": endedMs - startedMs,
    "longest gap in the roll ms": writer.longestGapMs(startedMs, endedMs),
  });
}
