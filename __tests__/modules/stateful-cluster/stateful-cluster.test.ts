import { Token } from "cdktf";
import { BOOT_TAG, failureLine } from "../../../agent/node/report";
import { StatefulCluster, type StatefulClusterProps } from "../../../modules/stateful-cluster/stateful-cluster";
import { synthesize, synthesizedResources } from "../../support/synthesize";
import { awsStack } from "../../support/synthesized-stack";
import { fileIn, unpacked } from "../../support/user-data";

const node = (nodeId: string) => ({ nodeId, nodeIp: `10.0.0.1${nodeId}`, subnetId: "subnet-1" });
const PROPS: StatefulClusterProps = {
  clusterName: "zookeeper",
  imageId: "ami-0123456789abcdef0",
  instanceType: "t3.small",
  securityGroupIds: ["sg-1"],
  nodes: [node("00"), node("01"), node("02")],
  dataVolume: {
    sizeGiB: 20,
    type: "gp3",
    mountPath: "/data",
    format: "xfs",
    ownerUser: "zookeeper",
    ownerGroup: "zookeeper",
  },
  script: { text: "configure_cluster_node() { :; }\nwait_for_healthy_cluster() { :; }\n" },
};
const cluster = (change: Partial<StatefulClusterProps> = {}) =>
  synthesize((scope) => void new StatefulCluster(scope, "zk", { ...PROPS, ...change }));
const only = (change: Partial<StatefulClusterProps>, type: string) =>
  synthesizedResources(cluster(change), type)[0]?.attributes as Record<string, never>;
const WAL = { ...PROPS.dataVolume, deviceName: "/dev/sdg", mountPath: "/wal", sizeGiB: 8 };
const statements = (stack = cluster()) =>
  Object.values(stack.data?.["aws_iam_policy_document"] ?? {}).flatMap(
    ({ statement }) => statement as { sid?: string; resources?: string[]; condition?: { values: string[] }[] }[],
  );

describe("each node of a cluster", () => {
  test("has its own interface, volume, template and group", () => {
    const stack = cluster();

    for (const type of ["network_interface", "ebs_volume", "launch_template", "autoscaling_group"]) {
      expect(synthesizedResources(stack, `aws_${type}`)).toHaveLength(3);
    }
    expect(synthesizedResources(stack, "aws_autoscaling_group").map(({ attributes }) => attributes["name"])).toEqual([
      "zookeeper-node-00",
      "zookeeper-node-01",
      "zookeeper-node-02",
    ]);
  });

  test("may have an image, a type, a disk, files and tags of its own, and the others keep theirs", () => {
    const own = {
      imageId: "ami-0fedcba9876543210",
      instanceType: "m7g.large",
      dataVolume: { sizeGiB: 40 },
      files: [{ path: "/etc/seed", content: { text: "seed" } }],
      tags: { Role: "seed" },
    };
    const stack = cluster({ nodes: [{ ...node("00"), ...own }, node("01"), node("02")], tags: { Team: "data" } });
    const of = (type: string) => synthesizedResources(stack, type).map(({ attributes }) => attributes);
    const configurations = Object.values(stack["locals"] as object).filter((text) => String(text).includes("nodeId"));

    expect(of("aws_launch_template").map(({ image_id, instance_type }) => [image_id, instance_type])).toEqual([
      ["ami-0fedcba9876543210", "m7g.large"],
      ["ami-0123456789abcdef0", "t3.small"],
      ["ami-0123456789abcdef0", "t3.small"],
    ]);
    expect(of("aws_ebs_volume").map(({ size }) => size)).toEqual([40, 20, 20]);
    expect(configurations.map((text) => String(text).includes("/etc/seed"))).toEqual([true, false, false]);
    expect(of("aws_autoscaling_group").map((group) => JSON.stringify(group["dynamic"]).includes("seed"))).toEqual([
      true,
      false,
      false,
    ]);
    expect(of("aws_autoscaling_group").every((group) => JSON.stringify(group["dynamic"]).includes("data"))).toBe(true);
  });

  test("may have several data volumes, each with its mount", () => {
    const stack = cluster({ nodes: [node("00")], additionalVolumes: { wal: WAL } });

    const [first, additional] = synthesizedResources(stack, "aws_ebs_volume").map(({ attributes }) => attributes);
    expect(first?.["tags"]).toEqual({ Name: "zookeeper-data-00" });
    expect(additional).toMatchObject({
      for_each: expect.stringMatching(/^\$\{local\.\w*additional_volumes\w*\}$/),
      tags: expect.stringContaining("zookeeper-data-00-${each.key}"),
      encrypted: true,
      lifecycle: { prevent_destroy: true },
    });
    expect(JSON.stringify(stack)).toContain("/wal");
  });

  test("may differ in a further volume, or have one that no other node has", () => {
    const archive = { ...WAL, deviceName: "/dev/sdh", mountPath: "/archive", type: "st1", sizeGiB: 500 };
    const own = { wal: { sizeGiB: 16, type: "io2", iops: 4_000 }, archive };
    const stack = cluster({
      nodes: [{ ...node("00"), additionalVolumes: own }, node("01"), node("02")],
      additionalVolumes: { wal: WAL },
      snapshots: {},
    });
    const volumes = Object.entries(stack["locals"] as Record<string, Record<string, { sizeGiB: number }>>)
      .filter(([name]) => name.includes("additional_volumes"))
      .map(([, value]) => value);

    expect(volumes).toEqual([
      {
        wal: expect.objectContaining({ sizeGiB: 16, type: "io2", iops: 4_000, mountPath: "/wal" }),
        archive: expect.objectContaining({ ...archive, tags: { "holdfast:snapshots": "zookeeper" } }),
      },
      { wal: expect.objectContaining({ sizeGiB: 8, type: "gp3" }) },
      { wal: expect.objectContaining({ sizeGiB: 8, type: "gp3" }) },
    ]);
    const attached = statements(stack).find(({ sid }) => sid === "AttachOwnVolumes")?.condition?.[0]?.values;
    expect(attached?.filter((name) => name.startsWith("zookeeper-data-00"))).toEqual([
      "zookeeper-data-00",
      "zookeeper-data-00-wal",
      "zookeeper-data-00-archive",
    ]);
  });
});

describe("Terraform around the nodes", () => {
  test("data_volume.tf: destroying or moving a data volume is refused, and its zone never replaces it", () => {
    const { lifecycle } = only({}, "aws_ebs_volume");

    expect(lifecycle).toEqual({
      prevent_destroy: true,
      ignore_changes: ["availability_zone", 'tags["holdfast:initialised"]', 'tags_all["holdfast:initialised"]'],
    });
    const group = only({}, "aws_autoscaling_group");
    expect(JSON.stringify(group["lifecycle"])).toMatch(/availability_zone == \$?\{?data\.aws_subnet/);
  });

  test("data_volume.tf: an interface is never replaced under a running instance; a new address is refused with the way to it", () => {
    expect(only({}, "aws_network_interface")["lifecycle"]).toEqual({ ignore_changes: ["subnet_id", "private_ips"] });
    expect(JSON.stringify(only({}, "aws_autoscaling_group")["lifecycle"])).toContain("its interface has");
  });

  test("main.tf L13-36: an apply does not wait for a quorum that it is still making", () => {
    expect(only({}, "aws_autoscaling_group")["wait_for_capacity_timeout"]).toBe("0");
  });

  test("instance_profile.tf L37-53: a node may touch this cluster's volumes, instances and groups alone", () => {
    const granting = statements().filter(({ sid }) => sid !== undefined);
    const scoped = granting.filter(({ resources }) => !resources?.includes("*"));

    expect(scoped.map(({ sid }) => sid)).toEqual([
      "AttachOwnVolumes",
      "AttachToOwnInstances",
      "SayWhatAVolumeCarries",
      "SayHowABootWent",
      "AnswerOwnLaunchHooks",
    ]);
    for (const { condition } of scoped) {
      expect(condition?.[0]?.values.every((name) => /^zookeeper-(data|node)-0[012]$/.test(name))).toBe(true);
    }
    const unscoped = granting.filter(({ resources }) => resources?.includes("*"));
    expect(JSON.stringify(unscoped)).not.toMatch(/"(?!ec2:Describe|autoscaling:Describe)\w+:\w+"/);
  });

  test("the group has no maintenance policy: launch before terminate could never get the interface", () => {
    expect(only({}, "aws_autoscaling_group")).not.toHaveProperty("instance_maintenance_policy");
    expect(only({}, "aws_autoscaling_group")).not.toHaveProperty("vpc_zone_identifier");
  });

  test("secrets are named in user data, never in it, and the role may read these alone", () => {
    const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls-AbCdEf";
    const files = [
      { path: "/etc/tls.key", content: { secret } },
      { path: "/etc/password", content: { parameter: "/zk/password" } },
    ];

    const stack = cluster({ files });

    const optional = JSON.stringify(stack["locals"]);
    expect(optional).toContain(secret);
    expect(optional).toMatch(/:parameter\/zk\/password/);
    expect(optional).toContain('"mode":"0400"'.replaceAll('"', '\\"'));
  });
});

describe("what the former module's user data got wrong", () => {
  /** What the agent of the first node reads, once Terraform has put the volume's id in. */
  function configuration(change: Partial<StatefulClusterProps>): Record<string, never> {
    const [text = ""] = Object.values((cluster({ nodes: [node("00")], ...change })["locals"] ?? {}) as object);
    const [, json = ""] = /<<'@end-of-file@'\n(.*)\n@end-of-file@/s.exec(text) ?? [];
    return JSON.parse(json.replace(/\$\{jsonencode\([^)]*\)\}/g, '"known-later"').replace(/([$%])\1\{/g, "$1{"));
  }

  test("node_userdata.sh L6-38: a value arrives as it is, whatever the shell or Terraform would make of it", () => {
    const text = "a b; reboot\n'$(reboot)' \"${HOME}\" %{if} \\n `id` EOF\n";
    const path = "/etc/a file;$(id)";

    expect(configuration({ files: [{ path, content: { text } }], script: { text } })).toMatchObject({
      files: [{ path, content: { text } }],
      script: { text },
    });
  });

  test("node_userdata.sh L45: a file has owner and mode, and a secret is for its owner alone", () => {
    const files = [
      { path: "/etc/a", user: "zookeeper", group: "zookeeper", mode: "0640", content: { text: "" } },
      { path: "/etc/key", content: { parameter: "/zk/key" } },
    ];

    expect(configuration({ files })["files"]).toEqual([
      files[0],
      { path: "/etc/key", user: "root", group: "root", mode: "0400", content: { parameter: "/zk/key" } },
    ]);
  });

  test("node_userdata.sh L92-109: another version of a script in S3 is another template, and the role may read that object alone", () => {
    const s3 = { bucket: "scripts", key: "zk/node.sh", versionId: "v1", sha256: null };
    const first = cluster({ script: { s3 } });
    const locals = (stack: typeof first) => JSON.stringify(stack["locals"]);

    expect(locals(cluster({ script: { s3: { ...s3, versionId: "v2" } } }))).not.toBe(locals(first));
    expect(locals(cluster({ script: { s3: { ...s3, sha256: "0".repeat(64) } } }))).not.toBe(locals(first));
    expect(first["locals"]).toMatchObject(
      Object.fromEntries(
        Object.keys(first["locals"] as object)
          .filter((name) => name.includes("optional_statements"))
          .map((name) => [
            name,
            expect.arrayContaining([
              {
                sid: "ReadScripts",
                actions: ["s3:GetObject", "s3:GetObjectVersion"],
                resources: [expect.stringMatching(/^arn:\$\{.*\}:s3:::scripts\/zk\/node\.sh$/)],
              },
            ]),
          ]),
      ),
    );
    expect(Object.keys(first["locals"] as object).some((name) => name.includes("optional_statements"))).toBe(true);
  });
});

describe("what a cluster may have beyond its nodes", () => {
  test("snapshots of every data volume, by a tag of the cluster's own", () => {
    const stack = cluster({
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
    for (const { attributes } of synthesizedResources(stack, "aws_ebs_volume").filter(
      ({ attributes }) => !("for_each" in attributes),
    )) {
      expect(JSON.stringify(attributes["tags"])).toContain("holdfast:snapshots");
    }
    expect(JSON.stringify(stack["locals"])).toContain("holdfast:snapshots");
  });

  test("alarms: each node out of service, slow or exhausted volumes, and a boot that failed", () => {
    const stack = cluster({
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
    const rules = synthesizedResources(cluster({ alarms: { topicArns: [] } }), "aws_cloudwatch_event_rule");
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
    const stack = cluster({ rootVolume: { deviceName: "/dev/xvda", sizeGiB: 16, type: "gp3", kmsKeyArn } });
    const [grant] = synthesizedResources(stack, "aws_kms_grant");

    expect(grant?.attributes).toMatchObject({
      key_id: kmsKeyArn,
      grantee_principal: expect.stringContaining("AWSServiceRoleForAutoScaling"),
      operations: expect.arrayContaining(["CreateGrant", "Decrypt", "GenerateDataKeyWithoutPlaintext"]),
    });
  });

  test("a launch hook of its own, so that a new timeout reaches groups that exist", () => {
    const hooks = synthesizedResources(cluster({ launchHookTimeoutSeconds: 900 }), "aws_autoscaling_lifecycle_hook");

    expect(hooks).toHaveLength(3);
    expect(hooks[0]?.attributes).toMatchObject({
      name: "zookeeper-node-asg-hook",
      heartbeat_timeout: 900,
      default_result: "ABANDON",
    });
    expect(synthesizedResources(cluster({ manageLaunchHook: false }), "aws_autoscaling_lifecycle_hook")).toEqual([]);
  });
});

describe("what cannot work is refused with both values:", () => {
  test.each<[string, Partial<StatefulClusterProps>, string]>([
    ["no nodes", { nodes: [] }, "cluster zookeeper: nodes is empty"],
    ["a node id twice", { nodes: [node("00"), node("00")] }, "cluster zookeeper: two nodes have the nodeId 00"],
    [
      "an address twice",
      { nodes: [node("00"), { ...node("01"), nodeIp: "10.0.0.100" }] },
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
      { dataVolume: { ...PROPS.dataVolume, type: "io2", throughput: 250 } },
      "node 00: throughput of volume data (250) is for gp3 volumes, its type is io2",
    ],
    [
      "a relative mount path",
      { dataVolume: { ...PROPS.dataVolume, mountPath: "data" } },
      "node 00: mountPath of volume data (data) must be an absolute path without blanks",
    ],
    [
      "two volumes under one name",
      { additionalVolumes: { wal: { ...PROPS.dataVolume, mountPath: "/wal" } } },
      "node 00: volumes data and wal have the same deviceName (/dev/sdf)",
    ],
    [
      "half of a volume",
      { nodes: [{ ...node("00"), additionalVolumes: { wal: { deviceName: "/dev/sdg", sizeGiB: 8 } } }] },
      "node 00: additionalVolumes.wal is no volume of every node, so it must have type, mountPath, format, ownerUser, ownerGroup",
    ],
    [
      "a node's volume in the place of another",
      {
        nodes: [{ ...node("00"), additionalVolumes: { wal: { mountPath: "/data" } } }],
        additionalVolumes: { wal: WAL },
      },
      "node 00: volumes data and wal have the same mountPath (/data)",
    ],
  ])("%s", (_what, change, message) => {
    expect(() => cluster(change)).toThrow(message);
  });

  test("a list of security groups that Terraform alone knows is not looked at", () => {
    const securityGroupIds = Token.asList("${local.security_groups_of_nodes}");

    expect(only({ securityGroupIds }, "aws_network_interface")["security_groups"]).toBe(
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
  const nodes = Array.from({ length: count }, (_, i) => node(`0${i}`));
  const { node: construct } = new StatefulCluster(awsStack(), "zk", { ...PROPS, nodes });

  expect(construct.metadata.some(({ data }) => /a quorum survives/.test(data))).toBe(warned);
});

test("user data carries the agent, and its configuration as the agent reads it", () => {
  const template = only({}, "aws_launch_template");
  const [, packed = ""] = /^([A-Za-z0-9+/=]+)\$\{/.exec(String(template["user_data"])) ?? [];

  expect(unpacked(packed)).toContain("cat >/opt/holdfast/node.mjs");
  expect(() => fileIn(unpacked(packed), "/opt/holdfast/node.mjs")).not.toThrow();
});
