import { clusterNode, ofFirstNode, synthesizedCluster, WAL } from "../../support/small-cluster";
import { synthesizedResources } from "../../support/synthesize";

const statements = (stack = synthesizedCluster()) =>
  Object.values(stack.data?.["aws_iam_policy_document"] ?? {}).flatMap(
    ({ statement }) => statement as { sid?: string; resources?: string[]; condition?: { values: string[] }[] }[],
  );

describe("each node of a cluster", () => {
  test("has its own interface, volume, template and group", () => {
    const stack = synthesizedCluster();

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
    const stack = synthesizedCluster({
      nodes: [{ ...clusterNode("00"), ...own }, clusterNode("01"), clusterNode("02")],
      tags: { Team: "data" },
    });
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
    const stack = synthesizedCluster({ nodes: [clusterNode("00")], additionalVolumes: { wal: WAL } });

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
    const stack = synthesizedCluster({
      nodes: [{ ...clusterNode("00"), additionalVolumes: own }, clusterNode("01"), clusterNode("02")],
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
    const { lifecycle } = ofFirstNode({}, "aws_ebs_volume");

    expect(lifecycle).toEqual({
      prevent_destroy: true,
      ignore_changes: [
        ...["availability_zone", "encrypted", "kms_key_id"],
        ...['tags["holdfast:initialised"]', 'tags_all["holdfast:initialised"]'],
      ],
    });
    const group = ofFirstNode({}, "aws_autoscaling_group");
    expect(JSON.stringify(group["lifecycle"])).toMatch(/availability_zone == \$?\{?data\.aws_subnet/);
  });

  test("data_volume.tf: an interface is never replaced under a running instance; a new address is refused with the way to it", () => {
    expect(ofFirstNode({}, "aws_network_interface")["lifecycle"]).toEqual({
      ignore_changes: ["subnet_id", "private_ips"],
    });
    expect(JSON.stringify(ofFirstNode({}, "aws_autoscaling_group")["lifecycle"])).toContain("its interface has");
  });

  test("main.tf L13-36: an apply does not wait for a quorum that it is still making", () => {
    expect(ofFirstNode({}, "aws_autoscaling_group")["wait_for_capacity_timeout"]).toBe("0");
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
    expect(ofFirstNode({}, "aws_autoscaling_group")).not.toHaveProperty("instance_maintenance_policy");
    expect(ofFirstNode({}, "aws_autoscaling_group")).not.toHaveProperty("vpc_zone_identifier");
  });
});
