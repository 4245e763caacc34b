import { useClusterLab } from "../support/instance/cluster-lab";
import { isHealthy, underWrites } from "../support/instance/cluster-life";
import { loseTheLeader, rollEveryNode } from "../support/instance/loss-and-roll";
import { ZOOKEEPER } from "../support/instance/zookeeper-cluster";

const lab = useClusterLab("zookeeper");

beforeAll(() => lab.create(() => isHealthy(lab, ZOOKEEPER)));

test("R1: a lost leader returns with its address and data, and a roll takes one member at a time: no acknowledged write is lost", () =>
  underWrites(lab, ZOOKEEPER, async (writer) => {
    await loseTheLeader(lab, ZOOKEEPER, writer);
    await rollEveryNode(lab, ZOOKEEPER, writer, "ami-0fedcba9876543210");
  }));
