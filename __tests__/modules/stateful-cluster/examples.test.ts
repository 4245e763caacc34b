import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { StatefulCluster } from "../../../modules/stateful-cluster/stateful-cluster";
import { gzip } from "../../../modules/user-data/gzip";
import { USER_DATA_LIMIT_BYTES } from "../../../modules/user-data/user-data";
import { type Synthesized, synthesize, synthesizedResources } from "../../support/synthesize";

const EXAMPLES = join(__dirname, "../../../examples");
const scripts = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith("node-config-script.sh"),
);

/** Those that lie in S3, for which user data has no room beside the agent. */
const IN_S3 = /^(kafka|mongodb)\//;

test("there is an example, with its configuration and its page, of each application", () => {
  const folders = scripts.map((name) => dirname(name)).sort();

  expect(folders).toEqual(["etcd", "kafka", "mongodb", "zookeeper"]);
  for (const folder of folders) {
    expect(readdirSync(join(EXAMPLES, folder)).sort()).toEqual(["README.md", "main.tf", "node-config-script.sh"]);
    expect(readFileSync(join(EXAMPLES, folder, "main.tf"), "utf8").includes("node_config_script_s3_version_id")).toBe(
      IN_S3.test(`${folder}/`),
    );
  }
});

test.each(scripts)("%s defines both functions, and its node's user data fits", (name) => {
  const path = join(EXAMPLES, name);
  const defined = execFileSync("bash", ["-euc", 'source "$1"; declare -F', "bash", path], { encoding: "utf8" });

  expect(defined).toContain("declare -f configure_cluster_node\n");
  expect(defined).toContain("declare -f wait_for_healthy_cluster\n");
  const members = "00 10.0.0.10\n01 10.0.1.10\n02 10.0.2.10\n";
  const stack = synthesize(
    (scope) =>
      void new StatefulCluster(scope, "cluster", {
        clusterName: "example",
        imageId: "ami-0123456789abcdef0",
        instanceType: "t3.small",
        securityGroupIds: ["sg-1"],
        nodes: ["00", "01", "02"].map((nodeId, i) => ({ nodeId, nodeIp: `10.0.${i}.10`, subnetId: `subnet-${i}` })),
        files: [{ path: "/etc/holdfast/members", content: { text: members } }],
        dataVolume: { sizeGiB: 20, type: "gp3", mountPath: "/data", format: "xfs", ownerUser: "a", ownerGroup: "a" },
        script: IN_S3.test(name)
          ? { s3: { bucket: "scripts", key: name, versionId: "3sL4kqtJlcpXroDTDmJ", sha256: "0".repeat(64) } }
          : { text: readFileSync(path, "utf8") },
      }),
  );

  const sizes = userDataBytes(stack);
  expect(sizes).toHaveLength(3);
  for (const bytes of sizes) expect(bytes).toBeLessThanOrEqual(USER_DATA_LIMIT_BYTES);
});

/** Of each node, once Terraform has put the volume's id in. */
function userDataBytes(stack: Synthesized): number[] {
  return synthesizedResources(stack, "aws_launch_template").map(({ attributes }) => {
    const [, program = "", local = ""] = /^([A-Za-z0-9+/=]+)\$\{base64gzip\(local\.(\w+)\)\}$/.exec(
      String(attributes["user_data"]),
    ) as string[];
    const text = (stack["locals"] as Record<string, string>)[local]?.replace(
      /\$\{jsonencode\(aws_ebs_volume[^)]*\)\}/g,
      '"vol-0123456789abcdef0"',
    );
    expect(text).toMatch(/wait_for_healthy_cluster|"s3":/);
    return Buffer.from(program, "base64").length + gzip(text ?? "").length;
  });
}
