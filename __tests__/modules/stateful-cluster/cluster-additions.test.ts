import { BOOT_TAG, failureLine } from "../../../agent/node/report";
import { synthesizedCluster, WAL } from "../../support/small-cluster";
import { synthesizedResources } from "../../support/synthesize";

describe("what a cluster may have beyond its nodes", () => {
  test("snapshots of every data volume, by a tag of the cluster's own", () => {
    const stack = synthesizedCluster({
      snapshots: { everyHours: 6 },
      additionalVolumes: { wal: WAL },
    });
    const [policy] = synthesizedResources(stack, "aws_dlm_lifecycle_policy");

    expect(policy?.attributes["policy_details"]).toMatchObject({
      resource_types: ["VOLUME"],
      target_tags: { "holdfast:snapshots": "zookeeper" },
      schedule: [
        {
          copy_tags: true,
          create_rule: { interval: 6, interval_unit: "HOURS", times: ["03:00"] },
          retain_rule: { count: 7 },
        },
      ],
    });
    const ofNodes = synthesizedResources(stack, "aws_ebs_volume").filter(
      ({ attributes }) => !("for_each" in attributes),
    );
    expect(ofNodes.map(({ attributes }) => attributes["tags"])).toEqual(
      ["00", "01", "02"].map(
        (nodeId) => `\${merge({"holdfast:snapshots" = "zookeeper"}, {"Name" = "zookeeper-data-${nodeId}"})}`,
      ),
    );
    expect(JSON.stringify(stack["locals"])).toContain("holdfast:snapshots");
  });

  test("snapshots are taken by a role that the Data Lifecycle Manager of this account alone takes on", () => {
    const stack = synthesizedCluster({ snapshots: {} });
    const role = synthesizedResources(stack, "aws_iam_role").find(({ attributes }) =>
      String(attributes["name"]).endsWith("-snapshots"),
    );

    expect(role?.attributes["assume_role_policy"]).toMatch(
      /"aws:SourceAccount" = \$?\{?data\.aws_caller_identity\.[\w-]+\.account_id/,
    );
  });

  test("alarms: each node out of service, slow or exhausted volumes, and a boot that failed", () => {
    const stack = synthesizedCluster({
      alarms: { topicArns: ["arn:aws:sns:us-west-2:111122223333:operators"], volumeLatencyMs: 50 },
    });
    const alarms = synthesizedResources(stack, "aws_cloudwatch_metric_alarm").map(({ attributes }) => attributes);
    const named = (name: string) => alarms.find((alarm) => alarm["alarm_name"] === name);

    expect(alarms).toHaveLength(3 * 3 + 2);
    expect(named("zookeeper-node-00-below-capacity")).toMatchObject({
      metric_name: "GroupInServiceInstances",
      threshold: 1,
      comparison_operator: "LessThanThreshold",
      evaluation_periods: 30,
    });
    expect(named("zookeeper-node-00-${each.key}-latency")).toMatchObject({ threshold: 50 });
    expect(named("zookeeper-node-00-${each.key}-burst-balance")?.["for_each"]).toContain(
      'contains(["gp2", "st1", "sc1"], coalesce(volume.type, "none"))',
    );
    for (const name of ["zookeeper-boot-failed", "zookeeper-launch-failed"]) {
      expect(named(name)).toMatchObject({ metric_name: "MatchedEvents", dimensions: { RuleName: name } });
    }
    for (const alarm of alarms)
      expect(alarm["alarm_actions"]).toEqual(["arn:aws:sns:us-west-2:111122223333:operators"]);
  });

  test("a failed boot is told by the tag that its agent writes, and a launch that was given up by Auto Scaling", () => {
    const rules = synthesizedResources(synthesizedCluster({ alarms: { topicArns: [] } }), "aws_cloudwatch_event_rule");
    const [boot, launch] = rules.map(({ attributes }) => JSON.parse(String(attributes["event_pattern"])));

    expect(boot).toEqual({
      source: ["aws.tag"],
      "detail-type": ["Tag Change on Resource"],
      detail: {
        "changed-tag-keys": [BOOT_TAG],
        service: ["ec2"],
        "resource-type": ["instance"],
        tags: {
          [BOOT_TAG]: [{ prefix: failureLine({ step: "health", code: "c", message: "m", remedy: "" }).slice(0, 6) }],
          // Propagated to every instance by its group.
          "holdfast:cluster": ["zookeeper"],
        },
      },
    });
    expect(launch).toEqual({
      source: ["aws.autoscaling"],
      "detail-type": ["EC2 Instance Launch Unsuccessful"],
      detail: { AutoScalingGroupName: [{ prefix: "zookeeper-node-" }] },
    });
  });

  test("a key of its own on the root volumes, with the grant without which no instance would start", () => {
    const kmsKeyArn = "arn:aws:kms:us-west-2:111122223333:key/8a2e1f0c-0000-4000-8000-000000000001";
    const stack = synthesizedCluster({ rootVolume: { deviceName: "/dev/xvda", sizeGiB: 16, type: "gp3", kmsKeyArn } });
    const [grant] = synthesizedResources(stack, "aws_kms_grant");

    expect(grant?.attributes).toMatchObject({
      key_id: kmsKeyArn,
      grantee_principal: expect.stringContaining("AWSServiceRoleForAutoScaling"),
      operations: expect.arrayContaining(["CreateGrant", "Decrypt", "GenerateDataKeyWithoutPlaintext"]),
    });
  });

  test("a launch hook of its own, so that a new timeout reaches groups that exist", () => {
    const hooks = synthesizedResources(
      synthesizedCluster({ launchHookTimeoutSeconds: 900 }),
      "aws_autoscaling_lifecycle_hook",
    );

    expect(hooks).toHaveLength(3);
    expect(hooks[0]?.attributes).toMatchObject({
      name: "zookeeper-node-asg-hook",
      heartbeat_timeout: 900,
      default_result: "ABANDON",
    });
    expect(
      synthesizedResources(synthesizedCluster({ manageLaunchHook: false }), "aws_autoscaling_lifecycle_hook"),
    ).toEqual([]);
  });
});
