import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NodeConfiguration } from "../../../agent/node/configuration";
import { type LoopVolume, loopVolume, sh } from "../../support/loop-volume";
import { type NodeDisk, nodeConfiguration, nodeDisk, runAgent } from "../../support/node-agent";
import { INSTANCE_ID, type NodeCloud, type NodeCloudOptions, startNodeCloud } from "../../support/node-cloud";

jest.setTimeout(60_000);

const SCRIPT = `
configure_cluster_node() { echo "configure $1 $2" >> DATA/calls; }
wait_for_healthy_cluster() { echo "health $1 $2" >> DATA/calls; }
`;

let volume: LoopVolume;
let disk: NodeDisk;
let cloud: NodeCloud | undefined;

beforeEach(() => {
  volume = loopVolume({ visible: false });
  disk = nodeDisk();
});
afterEach(async () => {
  await cloud?.close();
  cloud = undefined;
  disk.remove();
  volume.remove();
});

async function given(
  change: Partial<NodeConfiguration> = {},
  { script = SCRIPT, ...options }: { script?: string } & Partial<NodeCloudOptions> = {},
): Promise<NodeCloud> {
  disk.configure(nodeConfiguration(volume.volumeId, disk.data, script.replaceAll("DATA", disk.data), change));
  cloud = await startNodeCloud({ volume, ...options });
  return cloud;
}
const run = (command = "run") => runAgent(command, { ...disk.environment, ...cloud?.environment });
const calls = () => readFileSync(join(disk.data, "calls"), "utf8").trim().split("\n");
const lifecycleCalls = () =>
  cloud?.aws.callsOf("CompleteLifecycleAction").map(({ params }) => params["LifecycleActionResult"]);
const bootTag = () => cloud?.tags.get(INSTANCE_ID)?.get("holdfast:boot");

describe("a boot", () => {
  test("attaches, formats, mounts, configures, checks and only then completes the launch hook", async () => {
    const aws = await given();

    const { status } = await run();

    expect(status).toBe(0);
    expect(calls()).toEqual(["configure 00 10.0.0.10", "health 00 10.0.0.10"]);
    expect(aws.attachments).toEqual([INSTANCE_ID]);
    expect(aws.lifecycleState).toBe("InService");
    expect(bootTag()).toBe("ready");
    expect(aws.aws.callsOf("CompleteLifecycleAction")[0]?.params).toMatchObject({
      AutoScalingGroupName: "kafka-node-00",
      LifecycleHookName: "kafka-node-asg-hook",
      InstanceId: INSTANCE_ID,
    });
    expect((await run("status")).output.join()).toMatch(/node 00 of kafka \(i-0a1b2c3d4e5f60718\) is ready/);
  });

  test("node_userdata.sh L59: that is repeated, as after a reboot, configures no second time and completes nothing", async () => {
    await given();
    await run();
    sh(`umount '${disk.data}'`);

    const { status } = await run();

    expect(status).toBe(0);
    expect(calls()).toEqual(["configure 00 10.0.0.10", "health 00 10.0.0.10", "health 00 10.0.0.10"]);
    expect(lifecycleCalls()).toEqual(["CONTINUE"]);
  });

  test("on a root disk that is full says so where a person looks, and is given up", async () => {
    await given({ onFailure: "abandon" });
    const state = join(disk.folder, "state");
    sh(
      `mount -t tmpfs -o size=16k none '${state}' && { dd if=/dev/zero of='${state}/filler' bs=4k 2>/dev/null || true; }`,
    );

    const { status } = await run();

    expect(status).toBe(64);
    expect(bootTag()).toMatch(/^failed at identity \(identity-failed\): .*ENOSPC/);
    expect(lifecycleCalls()).toEqual(["ABANDON"]);
  });

  test("with state that an image brought along from another instance starts afresh", async () => {
    await given();
    writeFileSync(
      join(disk.folder, "state/node-boot.json"),
      JSON.stringify({ instanceId: "i-other", configured: true, completed: true }),
    );

    await run();

    expect(calls()).toContain("configure 00 10.0.0.10");
    expect(lifecycleCalls()).toEqual(["CONTINUE"]);
  });

  test("node_userdata.sh L3, L45: places files with owner and mode, secrets by reference, and writes none of them to the log", async () => {
    const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls-AbCdEf";
    await given(
      {
        files: [
          {
            path: join(disk.folder, "deep/er/a.conf"),
            user: "nobody",
            group: "daemon",
            mode: "0640",
            content: { base64: Buffer.from("a=1\n").toString("base64") },
          },
          { path: join(disk.folder, "tls.key"), user: "root", group: "root", mode: "0400", content: { secret } },
          {
            path: join(disk.folder, "password"),
            user: "root",
            group: "root",
            mode: "0400",
            content: { parameter: "/kafka/password" },
          },
        ],
      },
      { aws: { secrets: { [secret]: "canary-key" }, parameters: { "/kafka/password": "canary-password" } } },
    );

    const { status, output } = await run();

    expect(status).toBe(0);
    expect(readFileSync(join(disk.folder, "deep/er/a.conf"), "utf8")).toBe("a=1\n");
    expect(sh(`stat --format='%U:%G %a' '${disk.folder}/deep/er/a.conf'`)).toBe("nobody:daemon 640\n");
    expect(readFileSync(join(disk.folder, "tls.key"), "utf8")).toBe("canary-key");
    expect(readFileSync(join(disk.folder, "password"), "utf8")).toBe("canary-password");
    expect(statSync(join(disk.folder, "tls.key")).mode & 0o777).toBe(0o400);
    expect(output.join("\n")).not.toMatch(/canary|YT0x/);
  });

  test("node_userdata.sh L62, L65: waits while the former holder is going away, and takes the volume when EC2 has released it", async () => {
    const aws = await given({}, { holder: "i-old", instances: { "i-old": "shutting-down" } });
    setTimeout(aws.release, 1_500);

    const { status, output } = await run();

    expect(status).toBe(0);
    expect(aws.attachments).toEqual([INSTANCE_ID]);
    expect(output.join("\n")).toContain("is attached at i-old, which is shutting-down");
  });

  test("instance_profile.tf L45: prolongs the launch hook as long as a step takes", async () => {
    const aws = await given(
      { launchHookTimeoutSeconds: 3 },
      { script: SCRIPT.replace("wait_for_healthy_cluster() {", "wait_for_healthy_cluster() { sleep 4;") },
    );

    expect((await run()).status).toBe(0);

    expect(aws.aws.callsOf("RecordLifecycleActionHeartbeat").length).toBeGreaterThanOrEqual(3);
  });
});

describe("a boot that fails", () => {
  const failing = (body: string) =>
    SCRIPT.replace("wait_for_healthy_cluster() {", `wait_for_healthy_cluster() { ${body};`);

  test("says step, reason and the last output as a tag, in the log and in status; and holds the instance", async () => {
    await given({}, { script: failing("echo 'quorum: 1 of 3 members' >&2; return 7") });

    const { status, output } = await run();

    expect(status).toBe(64);
    const line =
      "failed at health (health-failed): wait_for_healthy_cluster failed with status 7 | quorum: 1 of 3 members";
    expect(bootTag()).toBe(line);
    expect(output.join("\n")).toContain(line);
    const told = await run("status");
    expect(told.status).toBe(1);
    expect(told.output.join("\n")).toMatch(
      /failed at step health.*quorum: 1 of 3 members.*next: .*holdfast-node retry/s,
    );
    expect(lifecycleCalls()).toEqual([]);
  });

  test("node_userdata.sh, no trap: gives the instance up at once if that is the policy", async () => {
    const aws = await given({ onFailure: "abandon" }, { script: failing("false") });

    expect((await run()).status).toBe(64);

    expect(lifecycleCalls()).toEqual(["ABANDON"]);
    expect(aws.lifecycleState).toBe("Terminating");
  });

  test("never gives up an instance that has been in service", async () => {
    await given({ onFailure: "abandon" }, { script: `${SCRIPT}\n${failing("[ ! -e DATA/broken ]").slice(1)}` });
    await run();
    writeFileSync(join(disk.data, "broken"), "");

    expect((await run()).status).toBe(64);

    expect(lifecycleCalls()).toEqual(["CONTINUE"]);
  });

  test("can be retried once its cause is gone, without configuring again", async () => {
    await given({}, { script: failing("[ -e DATA/repaired ]") });
    expect((await run()).status).toBe(64);
    writeFileSync(join(disk.data, "repaired"), "");

    expect((await run()).status).toBe(0);

    expect(calls().filter((call) => call.startsWith("configure"))).toHaveLength(1);
    expect(bootTag()).toBe("ready");
  });

  test("does not start the application if the address is another node's", async () => {
    await given({ nodeIp: "10.0.0.99" });

    expect((await run()).status).toBe(64);

    expect(bootTag()).toMatch(/^failed at identity \(wrong-address\)/);
    expect(cloud?.attachments).toEqual([]);
  });

  test("because its group is already ending it says so", async () => {
    await given({}, { lifecycleState: "Terminating:Wait" });

    expect((await run()).status).toBe(64);

    expect(bootTag()).toMatch(/^failed at complete \(launch-abandoned\)/);
  });
});

test("node_userdata.sh L130: the hook is completed only once the instance waits for it", async () => {
  const aws = await given({}, { lifecycleState: "Pending" });
  setTimeout(() => {
    aws.lifecycleState = "Pending:Wait";
  }, 2_500);

  expect((await run()).status).toBe(0);

  expect(lifecycleCalls()).toEqual(["CONTINUE"]);
  expect(aws.lifecycleState).toBe("InService");
});

test.each([
  ["help", "--help", 0, /holdfast-node status \[--json\]/],
  ["an unknown command", "restart", 2, /holdfast-node retry/],
  ["the state before any boot", "status", 3, /has not started/],
  ["the same as JSON", "status --json", 3, /^null$/],
])("the command says %s", async (_name, command, expected, output) => {
  const result = await run(command);

  expect(result.status).toBe(expected);
  expect(result.output.join("\n")).toMatch(output);
});

test.each([
  ["logs", "journalctl --unit holdfast-node.service --output cat --no-pager"],
  ["logs --follow", "journalctl --unit holdfast-node.service --output cat --follow"],
  ["retry", "systemctl restart --no-block holdfast-node.service"],
])("holdfast-node %s is %s", async (command, expected) => {
  for (const name of ["journalctl", "systemctl"]) {
    writeFileSync(join(disk.folder, name), `#!/bin/sh\necho "$(basename "$0") $*"\n`, { mode: 0o755 });
  }

  const { status, output } = await runAgent(command, {
    ...disk.environment,
    PATH: `${disk.folder}:${process.env["PATH"]}`,
  });

  expect(status).toBe(0);
  expect(output[0]).toBe(expected);
});
