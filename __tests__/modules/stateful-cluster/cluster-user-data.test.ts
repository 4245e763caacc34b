import type { StatefulClusterProps } from "../../../modules/stateful-cluster/stateful-cluster";
import { clusterNode, ofFirstNode, synthesizedCluster } from "../../support/small-cluster";
import type { Synthesized } from "../../support/synthesize";
import { fileIn, unpacked } from "../../support/user-data";

/** What the agent of the first node reads, once Terraform has put the volume's id in. */
function configuration(change: Partial<StatefulClusterProps>): Record<string, never> {
  const [text = ""] = Object.values(
    (synthesizedCluster({ nodes: [clusterNode("00")], ...change })["locals"] ?? {}) as object,
  );
  const [, json = ""] = /<<'@end-of-file@'\n(.*)\n@end-of-file@/s.exec(text) ?? [];
  return JSON.parse(json.replace(/\$\{jsonencode\([^)]*\)\}/g, '"known-later"').replace(/([$%])\1\{/g, "$1{"));
}

/** What the role may do because the configuration names it. */
function optionalStatements(stack: Synthesized): object[] {
  const lists = Object.entries((stack["locals"] ?? {}) as Record<string, object[]>).filter(([name]) =>
    name.includes("optional_statements"),
  );
  return lists.flatMap(([, statements]) => statements);
}

test("user data carries the agent, and its configuration as the agent reads it", () => {
  const template = ofFirstNode({}, "aws_launch_template");
  const [, packed = ""] = /^([A-Za-z0-9+/=]+)\$\{/.exec(String(template["user_data"])) ?? [];

  expect(unpacked(packed)).toContain("cat >/opt/holdfast/node.mjs");
  expect(() => fileIn(unpacked(packed), "/opt/holdfast/node.mjs")).not.toThrow();
});

test("secrets are named in user data, never in it, and the role may read these alone", () => {
  const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls-AbCdEf";
  const files = [
    { path: "/etc/tls.key", content: { secret } },
    { path: "/etc/password", content: { parameter: "/zk/password" } },
  ];

  expect(configuration({ files })["files"]).toEqual(
    files.map((file) => ({ ...file, user: "root", group: "root", mode: "0400" })),
  );
  expect(optionalStatements(synthesizedCluster({ files }))).toContainEqual({
    sid: "ReadSecrets",
    actions: ["secretsmanager:GetSecretValue", "ssm:GetParameter"],
    resources: [secret, expect.stringMatching(/^arn:\$\{.*\}:parameter\/zk\/password$/)],
  });
});

describe("what the former module's user data got wrong", () => {
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
    const first = synthesizedCluster({ script: { s3 } });
    const locals = (stack: typeof first) => JSON.stringify(stack["locals"]);

    expect(locals(synthesizedCluster({ script: { s3: { ...s3, versionId: "v2" } } }))).not.toBe(locals(first));
    expect(locals(synthesizedCluster({ script: { s3: { ...s3, sha256: "0".repeat(64) } } }))).not.toBe(locals(first));
    expect(optionalStatements(first)).toContainEqual({
      sid: "ReadScripts",
      actions: ["s3:GetObject", "s3:GetObjectVersion"],
      resources: [expect.stringMatching(/^arn:\$\{.*\}:s3:::scripts\/zk\/node\.sh$/)],
    });
  });
});

test("under a key, a node may have AWS attach volumes with it, and may grant the key to nobody else", () => {
  const kmsKeyArns = ["arn:aws:kms:us-west-2:123456789012:key/8a2e1f0c-0000-4000-8000-000000000001"];
  const ofKeys = optionalStatements(synthesizedCluster({ kmsKeyArns })).filter((statement) =>
    JSON.stringify(statement).includes("kms:"),
  );

  expect(ofKeys).toEqual([
    {
      sid: "UseKeys",
      actions: ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"],
      resources: kmsKeyArns,
    },
    {
      sid: "GrantKeysToVolumes",
      actions: ["kms:CreateGrant"],
      resources: kmsKeyArns,
      bounds: { "kms:GrantIsForAWSResource": "true" },
    },
  ]);
});
