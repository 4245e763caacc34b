import { kafkaCluster, kafkaSettingsSchema } from "../../../../scripts/rolling-update/clusters/kafka";
import { partitionsIn, quorumIn } from "../../../../scripts/rolling-update/clusters/kafka-output";
import { conforms } from "../../../support/adapter-conformance";
import { COMMAND_CONFIG, runKafkaTool } from "../../../support/fake-kafka";
import { fakeCluster } from "../../../support/fake-members";

describe.each(["3.3", "3.9"] as const)("the Kafka adapter on what the tools of Kafka %s print", (release) => {
  conforms(async () =>
    fakeCluster(runKafkaTool(release), (surroundings, member) => {
      const settings = kafkaSettingsSchema.parse({ kind: "kafka", commandConfig: COMMAND_CONFIG });
      return kafkaCluster(surroundings, { ...settings, ...member });
    }),
  );
});

describe("what Kafka's tools print", () => {
  test("R11: a partition below its minimum is seen, and one that has no minimum has one of 1", () => {
    const [first, second] = partitionsIn(
      [
        "Topic: a\tPartitionCount: 1\tReplicationFactor: 3\tConfigs: min.insync.replicas=2",
        "\tTopic: a\tPartition: 0\tLeader: 1\tReplicas: 1,2,3\tIsr: 1,3",
        "Topic: b\tPartitionCount: 1\tReplicationFactor: 3\tConfigs: ",
        "\tTopic: b\tPartition: 0\tLeader: none\tReplicas: 1,2,3\tIsr: ",
      ].join("\n"),
    );

    expect(first).toEqual({ name: "a-0", replicas: [1, 2, 3], inSync: [1, 3], minInSync: 2 });
    expect(second).toEqual({ name: "b-0", replicas: [1, 2, 3], inSync: [], minInSync: 1 });
  });

  test("R11: a quorum without a leader is an error with the tool's words", () => {
    expect(() => quorumIn("Error: timed out\n")).toThrow("timed out");
  });
});
