import { terminateAndPoll } from "../../../scripts/bench-rolling/updaters";
import type { Group, GroupInstance } from "../../../scripts/rolling-update/cloud";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import type { Process } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { rehearse, startRoll } from "../../support/rolling";

/** What is true of the node at this moment, whatever a describe call says. */
function isReplaced(aws: SimulatedAws, nodeId: string, oldInstance: string | undefined): boolean {
  const node = aws.manifest.nodes.find(({ id }) => id === nodeId);
  if (!node) return false;
  const [current, ...others] = aws.group(node.group).instances;
  return (
    others.length === 0 &&
    current !== undefined &&
    current.id !== oldInstance &&
    current.lifecycle === "InService" &&
    current.template?.version === "2" &&
    aws.ec2.interfaces.get(node.interfaceId)?.current.instanceId === current.id &&
    node.volumeIds.every((id) => aws.ec2.volumes.get(id)?.current.instanceId === current.id)
  );
}

const STALE_MS = [0, 1_000, 10_000, 30_000, 60_000, 120_000];

/** What a bench holds beside the cloud, for an updater that asks nothing else. */
const unused = (aws: SimulatedAws, process: Process) => ({
  store: new MemoryStore().connect(process),
  probe: aws.guests.probe(process, () => 0),
});

describe("when a node counts as replaced", () => {
  test("R4: the loop that polls for an instance in service goes on too early under the same answers", async () => {
    const early: number[] = [];
    for (const staleMs of STALE_MS) {
      const aws = await SimulatedAws.running();
      aws.release();
      // Old enough for every answer: what follows is not because the release is not seen yet.
      await aws.pass(staleMs);
      const before = new Map(aws.manifest.nodes.map(({ id, group }) => [id, aws.group(group).instances[0]?.id]));
      let former: string | undefined;
      aws.onRemoval = (instanceId) => {
        if (former !== undefined && !isReplaced(aws, former, before.get(former))) early.push(staleMs);
        former = aws.nodeOf(instanceId);
      };
      const process = aws.clock.process();
      const cloud = aws.connect(process, { staleMs: () => Math.floor(aws.random() * staleMs) });
      const bench = { cloud, inside: cloud, clock: process, manifest: aws.deployment(), ...unused(aws, process) };

      await aws.clock.run(terminateAndPoll(bench));
    }

    expect(early.length).toBeGreaterThanOrEqual(1);
    expect(early).not.toContain(0);
  });

  test.each(STALE_MS)(
    "R4: only as another instance of the target that holds interface and volume, describes up to %i ms old",
    async (staleMs) => {
      const aws = await SimulatedAws.running();
      aws.release();
      const before = new Map(aws.manifest.nodes.map(({ id, group }) => [id, aws.group(group).instances[0]?.id]));
      const verdicts: boolean[] = [];
      const store = new MemoryStore();
      const judge = async (method: string, call: () => Promise<unknown>) => {
        const answer = await call();
        if (method === "write") {
          const validating = [...(await store.list("journal/nodes/")).values()].map((text) => JSON.parse(text));
          for (const { node, state } of validating) {
            if (state === "validating" || state === "done") verdicts.push(isReplaced(aws, node, before.get(node)));
          }
        }
        return answer;
      };

      const { done } = startRoll(aws, {
        store,
        aroundStore: judge,
        connection: { staleMs: () => Math.floor(aws.random() * staleMs) },
      });
      const result = await aws.clock.run(done);

      expect(result).toMatchObject({ outcome: { status: "done", replaced: ["00", "01", "02"] } });
      expect(verdicts.length).toBeGreaterThan(5);
      expect(verdicts).not.toContain(false);
    },
  );

  test("R4: not as the old instance, of the same template, when AWS shows once more how it was before", async () => {
    const aws = await SimulatedAws.running();
    const group = () => aws.group("orders-node-00").instances;
    const old = group()[0]?.id;
    const taken: unknown[] = [];
    let removedMs = 0;
    let looksBackUntilMs = 0;
    aws.onRemoval = () => {
      removedMs = aws.clock.now();
    };

    const { outcome } = await rehearse(aws, {
      settings: { force: ["00"] },
      connection: { staleMs: () => (aws.clock.now() < looksBackUntilMs ? aws.clock.now() - removedMs + 1 : 0) },
      aroundStore: async (_method, call, args) => {
        const text = String(args[1]);
        if (text.includes('"state":"launching"')) looksBackUntilMs ||= aws.clock.now() + 30_000;
        if (text.includes('"state":"validating"')) taken.push(JSON.parse(text).newInstance);
        return call();
      },
    });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00"] });
    expect(taken).toEqual([group()[0]?.id]);
    expect(taken).not.toContain(old);
  });

  test("R4: not while its group holds the instance unhealthy, though its application answers", async () => {
    const aws = await SimulatedAws.running();
    aws.release();
    const isNew = ({ template }: GroupInstance) => template?.version === "2";
    const around = async (method: string, call: () => Promise<unknown>) => {
      const answer = await call();
      if (method !== "describeGroups") return answer;
      return (answer as readonly Group[]).map((group) => ({
        ...group,
        instances: group.instances.map((instance) => (isNew(instance) ? { ...instance, healthy: false } : instance)),
      }));
    };

    const { outcome } = await rehearse(aws, { connection: { around } });

    expect(outcome.error).toMatchObject({
      code: "LAUNCH_TIMEOUT",
      node: "00",
      reason: expect.stringMatching(/is unhealthy$/),
    });
  });
});
