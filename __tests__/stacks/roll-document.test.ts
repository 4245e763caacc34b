import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { parse, stringify } from "yaml";
import { ROLL_OPTIONS } from "../../scripts/rolling-update/cli/roll-options";
import { withSettings } from "../../scripts/rolling-update/cli/roll-settings";
import { longName, settingsOf } from "../../scripts/rolling-update/cli/settings-of";
import { clusterSettingsSchema } from "../../scripts/rolling-update/clusters/kinds";
import { parseSettings, type SettingsInput } from "../../scripts/rolling-update/settings";
import { readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { KEYS_OF_APPLICATION, rollKeys } from "../../stacks/roll-keys";
import { synthesize } from "../../stacks/synthesize";
import { useScratch } from "../support/scratch";
import type { Block } from "../support/synthesized-stack";

const EXAMPLE = readFileSync(join(__dirname, "../../deployments/zookeeper.yaml"), "utf8");
const scratch = useScratch();

const outdir = () => join(scratch.path, "out");

function synthesizeText(text: string): Block {
  const file = scratch.write("zookeeper.yaml", text);
  const [stack] = synthesize(readDeployments([file], KINDS), outdir());
  return JSON.parse(readFileSync(join(outdir(), stack?.path ?? ""), "utf8"));
}

const deploy = (rolling_update: unknown, more: object = {}) =>
  synthesizeText(stringify({ ...parse(EXAMPLE), ...more, rolling_update }, { aliasDuplicateObjects: false }));

/** The one trigger, as Terraform runs it. */
function triggerIn(stack: Block) {
  const [trigger] = Object.values<Block>(stack["resource"].null_resource);
  const { interpreter, command, environment } = trigger?.["provisioner"][0]["local-exec"] ?? {};
  const [node, program, action, ...words] = interpreter as string[];
  return { node, program, action, words, command, environment, triggers: trigger?.["triggers"] };
}

/** What the roller makes of the words, once Terraform has read the templates in them. */
function settingsIn(stack: Block) {
  const words = triggerIn(stack).words.map((word) => word.replaceAll("$${", "${"));
  const run = withSettings(new Command("run").option("--role-arn <arn>").option("--yes")).exitOverride();
  run.parse([...words, "--yes"], { from: "user" });
  return settingsOf(run.opts());
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

test("a cluster without the key has no trigger, no further provider, and nothing that starts a roll", () => {
  const { resource, terraform } = synthesizeText(EXAMPLE);

  expect(resource).not.toHaveProperty("null_resource");
  expect(resource).not.toHaveProperty("aws_ssm_document");
  expect(Object.keys(terraform.required_providers)).toEqual(["aws"]);
  expect(existsSync(join(outdir(), "stacks/zookeeper/assets"))).toBe(false);
});

test("what the example shows as a comment is a document too", () => {
  const shown = EXAMPLE.replace(/^# (rolling_update:| {2}.*)$/gm, "$1");

  const stack = synthesizeText(shown);

  expect(parse(shown)).toHaveProperty("rolling_update.when", "apply");
  expect(settingsIn(stack).application).toMatchObject({ kind: "zookeeper", port: 2181 });
});

test("what docs/deployments.md shows is a document too", () => {
  const page = readFileSync(join(__dirname, "../../docs/deployments.md"), "utf8");
  const [shown = ""] = /^rolling_update:$[^`]*/m.exec(page) ?? [];

  expect(settingsIn(deploy(parse(shown).rolling_update))).toMatchObject({
    application: { kind: "etcd", tls: { ca: "/etc/etcd/ca.pem" } },
    canaryBakeMs: 10 * MINUTE,
    onFailure: "rollback",
  });
});

describe("when: apply", () => {
  test("has Terraform run the roller that goes with the stack, on this account, region and cluster", () => {
    const stack = deploy({ when: "apply", role_arn: "arn:aws:iam::111122223333:role/roller" });
    const { node, program, action, words, command, environment, triggers } = triggerIn(stack);

    expect([node, action, words, command]).toEqual([
      "node",
      "run",
      ["--role-arn=arn:aws:iam::111122223333:role/roller"],
      "--yes",
    ]);
    const path = program?.replace("${path.module}", join(outdir(), "stacks/zookeeper")) ?? "";
    expect(readFileSync(path).equals(readFileSync(join(__dirname, "../../dist/roll.mjs")))).toBe(true);
    for (const part of ['"cluster" = "zookeeper"', "aws_caller_identity", "aws_region", '"holdfast:cluster"']) {
      expect(environment.HOLDFAST_CLUSTER).toContain(part);
    }
    expect(triggers.nodes.match(/latest_version/g)).toHaveLength(3);
    expect(stack["terraform"].required_providers.null).toEqual({ source: "hashicorp/null", version: ">= 3.2.1" });
  });

  test("alone is the roller's defaults", () => {
    expect(settingsIn(deploy({ when: "apply" }))).toEqual(parseSettings({}));
  });

  test.each<[string, object, SettingsInput]>([
    [
      "limits and times",
      {
        bake: "90s",
        canary_bake: "10m",
        poll: "2s",
        gate_timeout: "1h",
        drain_timeout: "5m",
        terminate_timeout: "20m",
        launch_timeout: "1.5h",
        health_timeout: "30m",
        total_timeout: "12h",
        successes: 5,
        parallel_within_zone: 2,
      },
      {
        bakeMs: 90 * SECOND,
        canaryBakeMs: 10 * MINUTE,
        pollMs: 2 * SECOND,
        gateTimeoutMs: 60 * MINUTE,
        drainTimeoutMs: 5 * MINUTE,
        terminateTimeoutMs: 20 * MINUTE,
        launchTimeoutMs: 90 * MINUTE,
        healthTimeoutMs: 30 * MINUTE,
        totalTimeoutMs: 720 * MINUTE,
        successes: 5,
        parallelWithinZone: 2,
      },
    ],
    [
      "what happens when a node fails",
      { strategy: "scale-zero", on_failure: "rollback", force_drain: true, confirm_after_first: true },
      { strategy: "scale-zero", onFailure: "rollback", forceDrain: true, confirmAfterFirst: true },
    ],
    ["what is not so", { irreversible: false, confirm_after_first: false }, {}],
    ["what cannot be undone", { irreversible: true }, { irreversible: true }],
    ["alarms", { alarms: ["-late", "errors of today"] }, { alarms: ["-late", "errors of today"] }],
    [
      "checks",
      { checks: { http: "http://{ip}:8080/${health}", tcp: 2181, command: "./ask", on_node: "--x", timeout: "20s" } },
      {
        checks: {
          http: "http://{ip}:8080/${health}",
          tcp: 2181,
          command: "./ask",
          onNode: "--x",
          timeoutMs: 20 * SECOND,
        },
      },
    ],
    [
      "a drain on the node and its undoing",
      { drain: { on_node: 'say "bye"', undo_on_node: "say hello" } },
      { drain: { onNode: 'say "bye"', undoOnNode: "say hello" } },
    ],
    ["a drain from here", { drain: { command: "./drain" } }, { drain: { command: "./drain" } }],
    [
      "etcd",
      {
        application: {
          kind: "etcd",
          port: 2380,
          tls: { ca: "/etc/ca.pem", certificate: "/etc/c.pem", key: "/etc/k.pem", server_name: "etcd" },
          credentials_file: "/etc/login",
          timeout_ms: 2_000,
          hand_over_timeout_ms: 30_000,
          stop: ["stop", "it"],
          start: ["start", "it"],
        },
      },
      {
        application: {
          kind: "etcd",
          port: 2380,
          tls: { ca: "/etc/ca.pem", certificate: "/etc/c.pem", key: "/etc/k.pem", serverName: "etcd" },
          credentialsFile: "/etc/login",
          timeoutMs: 2_000,
          handOverTimeoutMs: 30_000,
          stop: ["stop", "it"],
          start: ["start", "it"],
        },
      },
    ],
    [
      "ZooKeeper",
      { application: { kind: "zookeeper", admin_port: 8080, tls: { ca: "/ca" } } },
      { application: { kind: "zookeeper", adminPort: 8080, tls: { ca: "/ca" } } },
    ],
    [
      "Kafka",
      {
        application: { kind: "kafka", bin: "/k", command_config: "/p", node_ids: { "00": 7, "01": 8 }, max_lag_ms: 1 },
      },
      { application: { kind: "kafka", bin: "/k", commandConfig: "/p", nodeIds: { "00": 7, "01": 8 }, maxLagMs: 1 } },
    ],
    [
      "MongoDB",
      { application: { kind: "mongodb", connection_file: "/c", max_lag_ms: 1, step_down_ms: 2 } },
      { application: { kind: "mongodb", connectionFile: "/c", maxLagMs: 1, stepDownMs: 2 } },
    ],
    [
      "Patroni",
      { application: { kind: "patroni", credentials_file: "/c", max_lag_bytes: 0 } },
      { application: { kind: "patroni", credentialsFile: "/c", maxLagBytes: 0 } },
    ],
  ])("hands over %s as the roller reads them", (_what, document, settings) => {
    expect(settingsIn(deploy({ when: "apply", ...document }))).toEqual(parseSettings(settings));
  });
});

describe("a document can say all that the roller takes:", () => {
  const defaultIn = (text = "") => /[Dd]efault: (not at all|[\w.-]+?)[.)]/.exec(text)?.[1];

  test("its options, with their defaults; --force is of one roll", () => {
    const { checks, drain } = rollKeys.shape;
    const ofGroup = (prefix: string, shape: Readonly<Record<string, { description?: string | undefined }>>) =>
      Object.entries(shape).map(([key, { description }]) => [`${prefix}${key}`, description] as const);
    const said = [
      ...ofGroup("", rollKeys.shape),
      ...ofGroup("check_", checks.unwrap().shape),
      ...ofGroup("drain_", drain.unwrap().shape).map(
        ([key, text]) => [key === "drain_undo_on_node" ? "undrain_on_node" : key, text] as const,
      ),
    ].filter(([key]) => !["when", "from_nodes", "role_arn", "checks", "drain"].includes(key));
    const taken = ROLL_OPTIONS.map(
      ({ flags, description }) => [longName(flags).replaceAll("-", "_"), description] as const,
    );

    expect(said.map(([key]) => key).sort()).toEqual(
      taken
        .map(([key]) => key)
        .filter((key) => key !== "force")
        .sort(),
    );
    const defaults = new Map(said.map(([key, text]) => [key, defaultIn(text)]));
    const told = taken.flatMap(([key, text]) => (defaultIn(text) === undefined ? [] : [[key, defaultIn(text)]]));
    expect(told.length).toBeGreaterThan(0);
    expect(told.map(([key = ""]) => [key, defaults.get(key)])).toEqual(told);
  });

  test.each(Object.entries(KEYS_OF_APPLICATION))("the settings of %s", (kind, keys) => {
    const camel = keys.map((key) => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()));
    const schema = clusterSettingsSchema.def.options.find(({ shape }) => shape.kind.def.values[0] === kind);

    expect(camel.sort()).toEqual(Object.keys(schema?.shape ?? {}).sort());
  });
});

describe("from_nodes", () => {
  test("makes the document that carries the roller, and a role that trusts the nodes' role alone", () => {
    const { resource, terraform } = deploy({ from_nodes: true });
    const [document] = Object.values<Block>(resource.aws_ssm_document);
    const roles = Object.values<Block>(resource.aws_iam_role);
    const roller = roles.find(({ name }) => name === "zookeeper-roller");

    expect(document).toMatchObject({ name: "zookeeper-roll", document_type: "Command" });
    const [, program = ""] = /file\(\\?"\$\{path\.module\}\/([^"\\]+)/.exec(document?.["content"]) ?? [];
    const carried = readFileSync(join(outdir(), "stacks/zookeeper", program));
    expect(carried.equals(readFileSync(join(__dirname, "../../dist/roll-on-node.mjs")))).toBe(true);
    expect(JSON.parse(roller?.["assume_role_policy"]).Statement).toEqual([
      expect.objectContaining({
        Principal: { AWS: expect.stringMatching(/aws_iam_role\.cluster_access_node_role\w*\.arn/) },
      }),
    ]);
    expect(resource).not.toHaveProperty("null_resource");
    expect(Object.keys(terraform.required_providers)).toEqual(["aws"]);
  });
});

describe("refuses, and writes nothing:", () => {
  const problems = (rolling_update: unknown, more: object = {}) => {
    try {
      deploy(rolling_update, more);
    } catch (error) {
      expect(existsSync(outdir())).toBe(false);
      return (error as Error).message.split("\n").map((line) => line.replace(/^\S+:\d+:\d+: /, ""));
    }
    throw new Error("nothing was objected to");
  };
  const apply = (settings: object) => ({ when: "apply", ...settings });

  test.each<[string, unknown, string[]]>([
    [
      "a misspelt key",
      apply({ canary_bak: "1m" }),
      ["rolling_update.canary_bak: unknown key; did you mean canary_bake?"],
    ],
    [
      "a misspelt key of the application",
      apply({ application: { kind: "etcd", prt: 1 } }),
      ["rolling_update.application.prt: unknown key; did you mean port?"],
    ],
    [
      "a misspelt key of its files",
      apply({ application: { kind: "etcd", tls: { cert: "/c" } } }),
      ["rolling_update.application.tls.cert: unknown key; known are ca, certificate, key, server_name"],
    ],
    [
      "a kind that is not known",
      apply({ application: { kind: "etd" } }),
      [
        'rolling_update.application.kind: got "etd"; expected one of etcd, zookeeper, kafka, mongodb, patroni; did you mean etcd?',
      ],
    ],
    ["another moment", { when: "always" }, ['rolling_update.when: got "always"; expected one of apply, none']],
    [
      "a time without a unit",
      apply({ bake: "10" }),
      ['rolling_update.bake: got "10"; should be a number and s, m or h, such as 90s, 10m or 2h'],
    ],
    [
      "settings of a roll that there is not",
      { on_failure: "rollback", canary_bake: "10m" },
      [
        'rolling_update.on_failure: got "rollback"; changes nothing while rolling_update.when is none; set it to apply',
        'rolling_update.canary_bake: got "10m"; changes nothing while rolling_update.when is none; set it to apply',
      ],
    ],
    [
      "checks and a drain beside an application",
      apply({ application: { kind: "kafka" }, checks: { tcp: 9092 }, drain: { command: "./d" } }),
      [
        "rolling_update.checks: got a map; should not stand beside application (kafka), which is asked itself and hands over by itself",
        "rolling_update.drain: got a map; should not stand beside application (kafka), which is asked itself and hands over by itself",
      ],
    ],
    [
      "a key of another application",
      apply({ application: { kind: "kafka", credentials_file: "/c", step_down_ms: 5 } }),
      [
        'rolling_update.application.credentials_file: got "/c"; is for etcd and patroni; kind is kafka',
        "rolling_update.application.step_down_ms: got 5; is for mongodb; kind is kafka",
      ],
    ],
    [
      "two ports that would be asked",
      apply({ application: { kind: "zookeeper", port: 2181, admin_port: 8080 } }),
      ["rolling_update.application.port: got 2181; should not stand beside admin_port (8080): one of them is asked"],
    ],
    [
      "a certificate without its key",
      apply({ application: { kind: "etcd", tls: { certificate: "/c" } } }),
      ["rolling_update.application.tls: got a map; should have certificate and key, or neither"],
    ],
    [
      "a node that there is not",
      apply({ application: { kind: "kafka", node_ids: { "07": 7 } } }),
      ["rolling_update.application.node_ids.07: got 7; should be under the node_id of a node; there are 00, 01, 02"],
    ],
    [
      "two drains",
      apply({ drain: { command: "./d", on_node: "d" } }),
      [
        'rolling_update.drain.command: got "./d"; should not stand beside drain.on_node ("d"): a node is drained in one way',
      ],
    ],
    [
      "the undoing of nothing",
      apply({ drain: { undo_on_node: "u" } }),
      ['rolling_update.drain.undo_on_node: got "u"; undoes nothing: drain.on_node is not given'],
    ],
    [
      "the limit of no check",
      apply({ checks: { timeout: "5s" } }),
      ['rolling_update.checks.timeout: got "5s"; limits nothing: give http, tcp, command or on_node too'],
    ],
    [
      "a way back that there is not",
      apply({ on_failure: "rollback", irreversible: true }),
      ['rolling_update.on_failure: got "rollback"; should not stand beside irreversible (true): there is no way back'],
    ],
    [
      "a role that is none",
      apply({ role_arn: "roller" }),
      ['rolling_update.role_arn: got "roller"; should be the ARN of a role'],
    ],
  ])("%s", (_what, rolling_update, expected) => {
    expect(problems(rolling_update)).toEqual(expected);
  });

  test("a roll that waits longer than the launch hook, or looks less often than it wants a sign of life", () => {
    expect(
      problems(apply({ launch_timeout: "2h", poll: "20s" }), { asg_lifecycle_hook_heartbeat_timeout: 60 }),
    ).toEqual([
      'rolling_update.launch_timeout: got "2h"; should be at most 6000s: asg_lifecycle_hook_heartbeat_timeout (60 s) lets no instance wait longer in its launch hook',
      'rolling_update.poll: got "20s"; should be at most 15s, a quarter of asg_lifecycle_hook_heartbeat_timeout (60 s)',
    ]);
  });
});
