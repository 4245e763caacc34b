import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { USER_DATA_LIMIT_BYTES } from "../../modules/user-data/user-data";
import { nodeCommands } from "../../scripts/rolling-update/aws/node-commands";
import { sdkSystemsManager } from "../../scripts/rolling-update/aws/sdk-systems-manager";
import { systemClock } from "../../scripts/rolling-update/clock";
import { seededRandom } from "../../scripts/seeded-random";
import { useClusterLab } from "../support/instance/cluster-lab";
import { isHealthy, rolling, underWrites } from "../support/instance/cluster-life";
import { ETCD } from "../support/instance/etcd-cluster";
import { interruptBoots } from "../support/instance/interrupted-boots";
import { loseTheLeader, rollEveryNode } from "../support/instance/loss-and-roll";
import { inLongForm } from "../support/long-form";

const STEPS = ["identity", "attach", "filesystem", "files", "configure", "health", "complete"];
const EXAMPLE = readFileSync(join(__dirname, "../../examples/etcd/node-config-script.sh"), "utf8");
const SECOND_IMAGE = "ami-0fedcba9876543210";

const lab = useClusterLab("etcd");

/** Applies, and gives what Terraform printed where it failed. */
const apply = () =>
  lab
    .terraform()
    .apply()
    .then(
      () => "applied",
      (error: Error) => stripVTControlCharacters(error.message).replace(/[\s│]+/g, " "),
    );

beforeAll(() => lab.create(() => isHealthy(lab, ETCD)));

test("R3-5: the published module's user data boots every node under cloud-init and systemd to a member in service", async () => {
  for (const { nodeId, instanceId = "" } of await lab.nodes()) {
    const machine = await lab.machine(nodeId);
    const { userData } = (await lab.cloud().aws.facts({ instanceId })) ?? {};
    lab.measured({ [`user data of node ${nodeId}, bytes of ${USER_DATA_LIMIT_BYTES}`]: userData?.length });
    expect(userData?.length).toBeLessThanOrEqual(USER_DATA_LIMIT_BYTES);
    const log = await machine.exec("holdfast-node", "logs");
    for (const step of STEPS) expect(log).toMatch(new RegExp(`step done.*\\b${step}\\b`));
    expect(await machine.exec("findmnt", "--noheadings", "--output=FSTYPE,SOURCE", "/data")).toMatch(
      /^xfs\s+\/dev\/loop/,
    );
    expect(await machine.exec("cat", "/run/cloud-init/result.json")).toContain("DataSourceEc2Local");
    expect(await machine.console()).toContain(`holdfast-node: node ${nodeId} ready`);
  }
});

test("the metadata service tells an instance what is its own, and what is announced to it", async () => {
  const [{ instanceId = "" } = {}] = await lab.nodes();
  const machine = await lab.machine("00");
  const ask = (path: string) =>
    machine.exec(
      "sh",
      "-c",
      `token=$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
       curl -s -w '%{http_code}' -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/${path}`,
    );
  expect(await ask("instance-id")).toBe(`${instanceId}200`);
  expect(await ask("autoscaling/target-lifecycle-state")).toBe("InService200");
  expect(await ask("iam/security-credentials/")).toBe("etcd-role200");
  expect(await ask("iam/security-credentials/etcd-role")).toMatch(/"AccessKeyId": "ASIA/);
  // The launch template does not have its tags told.
  expect(await ask("tags/instance/Name")).toBe("404");

  expect(await ask("events/recommendations/rebalance")).toBe("404");
  lab.cloud().notify(instanceId, { rebalanceRecommendedAt: new Date("2026-01-02T03:04:05Z") });
  await lab.until("the notice is there", async () => /2026-01-02/.test(await ask("events/recommendations/rebalance")));
  expect(() => lab.cloud().notify("i-00000000000000000", {})).toThrow("no such instance");
});

test("programs run on a node through Systems Manager, as services do", async () => {
  const { url } = lab.cloud().aws;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "emulator", AWS_SECRET_ACCESS_KEY: "emulator" });
  const instanceOf = async (id: string) =>
    (await lab.nodes()).find(({ nodeId }) => nodeId === id)?.instanceId ?? "i-00000000000000000";
  const channel = nodeCommands(sdkSystemsManager({ region: "us-west-2", endpoint: url }), systemClock, instanceOf);

  expect(await channel.run("00", ["printenv", "AWS_ENDPOINT_URL"], 60_000)).toContain(url);
  const fails = channel.run("00", ["sh", "-c", "echo 'not here' >&2; exit 3"], 60_000);
  await expect(fails).rejects.toThrow("ended with 3: not here");
  await expect(channel.run("00", ["sleep", "600"], 1_000)).rejects.toThrow(/TimedOut|no end after 1 s/);
  await expect(channel.run("nobody", ["true"], 60_000)).rejects.toThrow("not in a valid state");
});

test("R5: a reboot brings a member back with its data, without another completion of its hook", async () => {
  const before = await lab.nodes();
  const machine = await lab.machine("00");
  expect(await machine.exec("etcdctl", "put", "colour", "blue")).toBe("OK");

  await machine.reboot();

  const local = ["etcdctl", "get", "--consistency=s", "--print-value-only", "colour"];
  await lab.until("the member answers", async () => (await machine.exec(...local).catch(() => "")) === "blue");
  await lab.until(
    "the boot has run again",
    async () => (await machine.exec("systemctl", "is-active", "holdfast-node").catch(() => "")) === "active",
  );
  expect(await machine.exec("findmnt", "--noheadings", "--output=FSTYPE", "/data")).toBe("xfs");
  expect(await machine.exec("holdfast-node", "status")).toContain("ready");
  expect(await lab.nodes()).toEqual(before);
});

test("R1: a lost leader returns with its address and data, and a roll takes one member at a time: no acknowledged write is lost", () =>
  underWrites(lab, ETCD, async (writer) => {
    await loseTheLeader(lab, ETCD, writer);
    await rollEveryNode(lab, ETCD, writer, SECOND_IMAGE);
  }));

interface BadRelease {
  /** The node config script, after the example's own. */
  readonly script: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly options?: readonly string[];
  /** What the operator is told. */
  readonly verdict: RegExp;
}

const BAD_RELEASES: readonly (readonly [string, BadRelease])[] = [
  [
    "fails to configure",
    {
      script: "configure_cluster_node() { echo 'the licence has expired' >&2; return 1; }",
      verdict: /HOOK_ABANDONED.*configure_cluster_node failed with status 1 \| the licence has expired/,
    },
  ],
  [
    "hangs",
    {
      script: "configure_cluster_node() { echo 'waiting for a licence'; sleep infinity; }",
      inputs: { configure_timeout_seconds: 20 },
      verdict: /HOOK_ABANDONED.*did not finish within 20 s \| waiting for a licence/,
    },
  ],
  [
    "stops its member once it is healthy",
    {
      script: `eval "as_before_$(declare -f wait_for_healthy_cluster)"
wait_for_healthy_cluster() { as_before_wait_for_healthy_cluster "$@" && systemctl stop etcd; }`,
      options: ["--health-timeout", "15s"],
      verdict: /CLUSTER_UNHEALTHY/,
    },
  ],
];

inLongForm(() => {
  test.each(BAD_RELEASES)(
    "R2: a release that %s stops the roll at its first node, with the reason, while the cluster serves; the corrected one goes through",
    (_how, { script, inputs, options = [], verdict }) =>
      underWrites(lab, ETCD, async (writer) => {
        // GIVEN
        const before = await lab.nodes();

        // WHEN
        lab.release({
          node_image: SECOND_IMAGE,
          node_config_script: Buffer.from(`${EXAMPLE}\n${script}\n`).toString("base64"),
          on_boot_failure: "abandon",
          ...inputs,
          ...rolling(ETCD, ...options),
        });
        const output = await apply();

        // THEN
        expect(output).toMatch(verdict);
        const after = await lab.nodes();
        expect(after.filter(({ instanceId }, index) => instanceId === before[index]?.instanceId)).toHaveLength(2);
        const written = writer.acknowledged;
        await lab.until("more writes", async () => writer.acknowledged > written + 50);

        // WHEN
        lab.release({ node_image: SECOND_IMAGE, ...rolling(ETCD) });
        expect(await apply()).toBe("applied");

        // THEN
        await lab.inService();
        expect(await isHealthy(lab, ETCD)).toBe(true);
      }),
  );

  test("R5: power cuts, reboots and kills at random moments of boots end healthy, with the data", () =>
    underWrites(lab, ETCD, () => interruptBoots(lab, ETCD, 50, seededRandom(6))));
});
