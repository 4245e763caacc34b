import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { moduleFiles } from "../../../modules/publish/module-files";
import { STATEFUL_CLUSTER_MODULE } from "../../../modules/stateful-cluster/published-module";
import { rollDocument } from "../../../modules/stateful-cluster/roll-document";
import { rollerStatements } from "../../../modules/stateful-cluster/roller-statements";

/** https://docs.aws.amazon.com/general/latest/gr/ssm.html: the longest content of a document. */
const LONGEST_DOCUMENT = 65_536;
/** The 56 KB that docs/rolling-update.md names. */
const LONGEST_PROGRAM = 56 * 1_024;
const PROGRAM = readFileSync(join(__dirname, "../../../dist/roll-on-node.mjs"), "utf8").trim();
const PROPS = {
  documentName: "orders-roll",
  roleArn: "arn:aws:iam::123456789012:role/orders-roller",
  program: PROGRAM,
};

/** As long as a real one, and as hard to compress: ids are random. */
const hex = (seed: number) =>
  Math.abs(Math.sin(seed) * 1e17)
    .toString(16)
    .padEnd(17, "0")
    .slice(0, 17);
const manifestOf = (nodes: number) =>
  gzipSync(
    JSON.stringify({
      cluster: "orders",
      accountId: "123456789012",
      region: "eu-west-1",
      tag: { key: "holdfast:cluster", value: "orders" },
      nodes: Array.from({ length: nodes }, (_, index) => ({
        id: String(index).padStart(2, "0"),
        group: `orders-node-${String(index).padStart(2, "0")}`,
        interfaceId: `eni-${hex(3 * index)}`,
        volumeIds: [`vol-${hex(3 * index + 1)}`],
        zone: `eu-west-1${"abc"[index % 3]}`,
        ip: `10.0.${index % 3}.${10 + index}`,
        template: { id: `lt-${hex(3 * index + 2)}`, version: 17 },
      })),
    }),
  ).toString("base64");

describe("the document that rolls a cluster from a node", () => {
  const document = rollDocument({ ...PROPS, manifest: manifestOf(3) });
  const script = document.mainSteps[0]?.inputs.runCommand.join("\n") ?? "";
  const { Action, Node, Options, ExecutionTimeout } = document.parameters;

  test("has room for the program, and for the manifest of a cluster of 75 nodes", () => {
    expect(PROGRAM.length).toBeLessThanOrEqual(LONGEST_PROGRAM);
    expect(JSON.stringify(rollDocument({ ...PROPS, manifest: manifestOf(75) })).length).toBeLessThanOrEqual(
      LONGEST_DOCUMENT,
    );
  });

  test("carries a program that Systems Manager leaves as it is", () => {
    expect(PROGRAM).not.toMatch(/\n|\{\{|[^ -~]/);
    expect(script.split("\n").filter((line) => line === "HOLDFAST_PROGRAM")).toHaveLength(1);
  });

  test.each([
    ["--check-tcp 2379 --canary-bake 10m", true],
    ["--check-http http://{ip}:2379/health", true],
    ['--application {"kind":"etcd","tls":{"ca":"/etc/etcd/ca.pem"}}', true],
    ['["--check-on-node","systemctl is-active etcd && test -f /run/ok"]', true],
    ["", true],
    ["'", false],
    ["a'; reboot; '", false],
    ["$HOME", false],
    ["`id`", false],
    ["a\nb", false],
    ["a\\", false],
    ["{{ Action }}", false],
    ["{{ssm:/secret}}", false],
  ])("takes the options %j: %s", (text, isAllowed) => {
    expect(new RegExp(Options.allowedPattern).test(text)).toBe(isAllowed);
  });

  test("puts every parameter between single quotes, which none may hold", () => {
    const uses = [...script.matchAll(/(.)\{\{ (\w+) \}\}(.)/g)].map(
      ([, open, name, close]) => `${open}${name}${close}`,
    );

    expect(uses).toEqual(["'Action'", "'Node'", "'Options'"]);
    expect(Action.allowedValues.join("")).toMatch(/^[a-z]+$/);
    for (const { allowedPattern } of [Node, Options, ExecutionTimeout]) {
      expect(new RegExp(allowedPattern).test("1'")).toBe(false);
    }
  });
});

describe("what lets a roll be started on a node", () => {
  const files = new Map(moduleFiles(STATEFUL_CLUSTER_MODULE));
  const { resource } = JSON.parse(files.get("main.tf.json") ?? "{}");

  test("is made only for those who ask for it", () => {
    for (const made of [
      resource.aws_iam_role.roller,
      resource.aws_iam_role_policy.roller,
      resource.aws_ssm_document.roll,
    ]) {
      expect(made.count).toBe("${var.rolling_update.from_nodes ? 1 : 0}");
    }
  });

  test("R22: is a role that the nodes' role may take and nobody else, which passes on no role but that", () => {
    const trust = JSON.parse(resource.aws_iam_role.roller.assume_role_policy);
    const policy = JSON.parse(resource.aws_iam_role_policy.roller.policy);

    expect(trust.Statement).toEqual([
      expect.objectContaining({ Action: ["sts:AssumeRole"], Principal: { AWS: "${aws_iam_role.node_role.arn}" } }),
    ]);
    const passing = policy.Statement.filter(({ Action }: { Action: string[] }) => Action.includes("iam:PassRole"));
    expect(passing).toEqual([expect.objectContaining({ Resource: ["${aws_iam_role.node_role.arn}"] })]);
    const sending = policy.Statement.find(({ Sid }: { Sid: string }) => Sid === "RunDocuments");
    expect(sending.Resource).toEqual([
      expect.stringMatching(/::document\/AWS-RunShellScript$/),
      expect.stringMatching(/:document\/\$\{var.app_name\}-roll$/),
    ]);
  });

  test("a roller that checks nothing on nodes may run the one document, and follows no command", () => {
    const statements = rollerStatements({
      partition: "aws",
      region: "eu-west-1",
      accountId: "123456789012",
      cluster: "orders",
      tag: { key: "holdfast:cluster", value: "orders" },
      changesGroups: false,
      reachesNodes: false,
      document: "orders-roll",
    });

    expect(statements.find(({ sid }) => sid === "RunDocuments")?.resources).toEqual([
      "arn:aws:ssm:eu-west-1:123456789012:document/orders-roll",
    ]);
    expect(statements.map(({ sid }) => sid)).not.toContain("FollowCommands");
  });
});
