import { useClusterLab } from "../support/instance/cluster-lab";
import { isHealthy, underWrites } from "../support/instance/cluster-life";
import { loseTheLeader, rollEveryNode } from "../support/instance/loss-and-roll";
import { ZOOKEEPER } from "../support/instance/zookeeper-cluster";
import { inLongForm } from "../support/long-form";

const lab = useClusterLab("zookeeper");

beforeAll(() => lab.create(() => isHealthy(lab, ZOOKEEPER)));

test("R1: a lost leader returns with its address and data: no acknowledged write is lost", async () => {
  const { seen: lost, lostWrites } = await underWrites(lab, ZOOKEEPER, (writer) =>
    loseTheLeader(lab, ZOOKEEPER, writer),
  );

  expect(lost.heir.addresses).toContain(`${lost.address}/32`);
  expect(lost.heir.holdsFirstWrite).toBe(true);
  expect(lostWrites).toEqual([]);
});

inLongForm(() =>
  test("R1: a roll takes one member at a time: no acknowledged write is lost", async () => {
    const { seen: roll, lostWrites } = await underWrites(lab, ZOOKEEPER, (writer) =>
      rollEveryNode(lab, ZOOKEEPER, writer, "ami-0fedcba9876543210"),
    );

    // Nothing but the release has changed, though nodes tag their volumes and instances.
    expect(roll.changedTypes).toEqual(["aws_autoscaling_group", "aws_launch_template", "null_resource"]);
    expect(roll.nodes).toEqual(
      ["00", "01", "02"].map((nodeId) => ({ nodeId, lifecycle: "InService", isReplaced: true })),
    );
    expect(roll.isHealthy).toBe(true);
    expect(roll.absentTogether).toEqual([]);
    expect(lostWrites).toEqual([]);
  }),
);
