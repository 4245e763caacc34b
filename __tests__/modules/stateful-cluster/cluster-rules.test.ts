import { Token } from "cdktf";
import { StatefulCluster, type StatefulClusterProps } from "../../../modules/stateful-cluster/stateful-cluster";
import { expectedVolumes } from "../../../modules/stateful-node/node-volumes";
import { clusterNode, ofFirstNode, SMALL_CLUSTER, synthesizedCluster, WAL } from "../../support/small-cluster";
import { awsStack } from "../../support/synthesized-stack";

describe("what cannot work is refused with both values:", () => {
  test.each<[string, Partial<StatefulClusterProps>, string]>([
    ["no nodes", { nodes: [] }, "cluster zookeeper: nodes is empty"],
    [
      "a node id twice",
      { nodes: [clusterNode("00"), clusterNode("00")] },
      "cluster zookeeper: two nodes have the nodeId 00",
    ],
    [
      "an address twice",
      { nodes: [clusterNode("00"), { ...clusterNode("01"), nodeIp: "10.0.0.100" }] },
      "cluster zookeeper: two nodes have the nodeIp 10.0.0.100",
    ],
    [
      "no security group",
      { securityGroupIds: [] },
      "node 00: securityGroupIds is empty: name at least one security group",
    ],
    [
      "a hook beyond Auto Scaling's limit",
      { launchHookTimeoutSeconds: 10_800 },
      "node 00: launchHookTimeoutSeconds (10800) must be from 30 to 7200",
    ],
    [
      "throughput of a volume that has none",
      { dataVolume: { ...SMALL_CLUSTER.dataVolume, type: "io2", throughput: 250 } },
      "node 00: throughput of volume data (250) is for gp3 volumes, its type is io2",
    ],
    [
      "a relative mount path",
      { dataVolume: { ...SMALL_CLUSTER.dataVolume, mountPath: "data" } },
      "node 00: mountPath of volume data (data) must be an absolute path without blanks",
    ],
    [
      "two volumes under one name",
      { additionalVolumes: { wal: { ...SMALL_CLUSTER.dataVolume, mountPath: "/wal" } } },
      "node 00: volumes data and wal have the same deviceName (/dev/sdf)",
    ],
    [
      "half of a volume",
      { nodes: [{ ...clusterNode("00"), additionalVolumes: { wal: { deviceName: "/dev/sdg", sizeGiB: 8 } } }] },
      "node 00: additionalVolumes.wal is no volume of every node, so it must have type, mountPath, format, ownerUser, ownerGroup",
    ],
    [
      "a node's volume in the place of another",
      {
        nodes: [{ ...clusterNode("00"), additionalVolumes: { wal: { mountPath: "/data" } } }],
        additionalVolumes: { wal: WAL },
      },
      "node 00: volumes data and wal have the same mountPath (/data)",
    ],
    [
      "a data volume in the place of the root volume",
      { dataVolume: { ...SMALL_CLUSTER.dataVolume, deviceName: "/dev/xvda" } },
      "node 00: deviceName of volume data (/dev/xvda) is that of the root volume",
    ],
    [
      "a type that has no number of IOPS of its own",
      { dataVolume: { ...SMALL_CLUSTER.dataVolume, type: "io2" } },
      "node 00: iops of volume data must be given: its type io2 has no number of its own",
    ],
    [
      "a node id that the cluster itself uses",
      { nodes: [clusterNode("00"), clusterNode("01"), clusterNode("snapshots")] },
      "cluster zookeeper: no node can have the nodeId snapshots, as a part of every cluster has it",
    ],
    [
      "a name that leaves no room for its role's",
      { clusterName: "z".repeat(60) },
      `role name (${"z".repeat(60)}-role) has 65 characters; IAM admits 64: shorten it`,
    ],
    [
      "a name that leaves no room for that of its snapshots' role",
      { clusterName: "z".repeat(55), snapshots: {} },
      `role name (${"z".repeat(55)}-snapshots) has 65 characters; IAM admits 64: shorten it`,
    ],
    [
      "a name that leaves no room for its alarms'",
      { clusterName: "z".repeat(51), alarms: { topicArns: [] } },
      `event rule name (${"z".repeat(51)}-launch-failed) has 65 characters; EventBridge admits 64: shorten the cluster's`,
    ],
  ])("%s", (_what, change, message) => {
    expect(() => synthesizedCluster(change)).toThrow(message);
  });

  test("a list of security groups that Terraform alone knows is not looked at", () => {
    const securityGroupIds = Token.asList("${local.security_groups_of_nodes}");

    expect(ofFirstNode({ securityGroupIds }, "aws_network_interface")["security_groups"]).toBe(
      "${local.security_groups_of_nodes}",
    );
  });
});

test.each([
  [1, true],
  [2, true],
  [3, false],
  [4, true],
  [5, false],
])("a cluster of %i nodes is warned about: %s", (count, warned) => {
  const nodes = Array.from({ length: count }, (_, i) => clusterNode(`0${i}`));
  const { node: construct } = new StatefulCluster(awsStack(), "zk", { ...SMALL_CLUSTER, nodes });

  expect(construct.metadata.some(({ data }) => /a quorum survives/.test(data))).toBe(warned);
});

test("the size of user data is foreseen with ids as AWS gives them: no two are alike", () => {
  const { nodes: _, ...shared } = SMALL_CLUSTER;
  const volumes = expectedVolumes({
    ...shared,
    ...clusterNode("00"),
    instanceProfileName: "zookeeper-instance-profile",
    additionalVolumes: { wal: WAL, archive: { ...WAL, deviceName: "/dev/sdh", mountPath: "/archive" } },
  });
  const ids = Object.values(volumes?.volumes as Record<string, { volumeId: string }>).map(({ volumeId }) => volumeId);

  expect(ids).toEqual(Array(3).fill(expect.stringMatching(/^vol-0[0-9a-f]{16}$/)));
  expect(new Set(ids).size).toBe(3);
});
