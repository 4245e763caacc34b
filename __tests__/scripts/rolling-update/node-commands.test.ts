import { nodeCommands } from "../../../scripts/rolling-update/aws/node-commands";
import { ChannelError, type NodeChannel } from "../../../scripts/rolling-update/node-channel";
import { ROLL_ADAPTERS } from "../../support/roll-adapters";
import { type SystemsManager, startSystemsManager } from "../../support/systems-manager";
import { useTestCredentials } from "../../support/test-credentials";

const INSTANCE = "i-0123456789abcdef0";
useTestCredentials();

describe.each(ROLL_ADAPTERS)("a command on a node through Systems Manager, through $name", ({ systemsManager }) => {
  let aws: SystemsManager;
  let nowMs: number;
  let channel: NodeChannel;

  beforeEach(async () => {
    aws = await startSystemsManager(INSTANCE);
    nowMs = 0;
    const clock = {
      now: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
      },
      random: () => 0.5,
    };
    channel = nodeCommands(systemsManager("eu-west-1", aws.endpoint), clock, async (nodeId) =>
      nodeId === "00" ? INSTANCE : undefined,
    );
  });
  afterEach(() => aws.close());

  test("R11: gives what it printed, though AWS does not know the command at once", async () => {
    aws.answers("not known", "Pending", "InProgress", { Status: "Success", StandardOutputContent: "is ok\n" });

    await expect(channel.run("00", ["etcdctl", "endpoint", "health"], 30_000)).resolves.toBe("is ok\n");
    expect(aws.sent).toEqual([
      {
        InstanceIds: [INSTANCE],
        DocumentName: "AWS-RunShellScript",
        Parameters: { commands: ["exec 'etcdctl' 'endpoint' 'health'"], executionTimeout: ["30"] },
        TimeoutSeconds: 30,
      },
    ]);
  });

  test("a word is a word, whatever is in it", async () => {
    aws.answers({ Status: "Success" });

    await channel.run("00", ["echo", "it's $HOME; `id`"], 30_000);

    expect(aws.sent[0]?.Parameters.commands).toEqual(["exec 'echo' 'it'\\''s $HOME; `id`'"]);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    [
      "the end of what a failing one printed",
      { Status: "Failed", ResponseCode: 3, StandardErrorContent: "no quorum\n" },
      /etcdctl on node 00: ended with 3: no quorum$/,
    ],
    [
      "AWS's word for one that never reached the node",
      { Status: "TimedOut", ResponseCode: -1, StatusDetails: "Delivery Timed Out" },
      /Delivery Timed Out$/,
    ],
    ["AWS's word for one that somebody cancelled", { Status: "Cancelled", StatusDetails: "Cancelled" }, /Cancelled$/],
  ])("tells %s", async (_what, answer, message) => {
    aws.answers("InProgress", answer);

    await expect(channel.run("00", ["etcdctl"], 30_000)).rejects.toThrow(message);
  });

  test("R14: one that does not end is cancelled at its deadline", async () => {
    aws.answers(...Array.from({ length: 60 }, () => "InProgress"));

    await expect(channel.run("00", ["systemctl", "stop", "etcd"], 20_000)).rejects.toThrow(/no end after 20 s/);
    expect(nowMs).toBe(20_000);
    expect(aws.cancelled).toHaveLength(1);
  });

  test("R15: a refusal is told in AWS's words at once", async () => {
    aws.refuses("InvalidInstanceId", "Instances not in a valid state for account");

    await expect(channel.run("00", ["true"], 30_000)).rejects.toThrow(/Instances not in a valid state for account/);
    expect(nowMs).toBe(0);
  });

  test("a node without an instance is not asked", async () => {
    await expect(channel.run("01", ["true"], 30_000)).rejects.toThrow(ChannelError);
    expect(aws.sent).toEqual([]);
  });
});
