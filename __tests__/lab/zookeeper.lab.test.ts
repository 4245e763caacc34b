import { useClusterLab } from "../support/instance/cluster-lab";
import { isHealthy, underWrites } from "../support/instance/cluster-life";
import { loseTheLeader, rollEveryNode } from "../support/instance/loss-and-roll";
import { ZOOKEEPER } from "../support/instance/zookeeper-cluster";
import { inLongForm } from "../support/long-form";

const lab = useClusterLab("zookeeper");

beforeAll(() => lab.create(() => isHealthy(lab, ZOOKEEPER)));

test("R1: a lost leader returns with its address and data: no acknowledged write is lost", () =>
  underWrites(lab, ZOOKEEPER, (writer) => loseTheLeader(lab, ZOOKEEPER, writer)));

inLongForm(() =>
  test("R1: a roll takes one member at a time: no acknowledged write is lost", () =>
    underWrites(lab, ZOOKEEPER, (writer) => rollEveryNode(lab, ZOOKEEPER, writer, "ami-0fedcba9876543210"))),
);
