import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { parse, stringify } from "yaml";
import { run } from "../../scripts/emulator/child";
import { emulatorEnvironment } from "../../scripts/emulator/terraform";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";

const REPOSITORY = resolve(__dirname, "..", "..");
const STACKS = ["production", "zookeeper"] as const;

const aws = useEmulatedAws();
const scratch = useScratch();

test("cdktf deploys a worker fleet and a stateful cluster, finds nothing more to do, and destroys what holds no data", async () => {
  // GIVEN the app of cdktf.json in a directory of its own, where its state then lies too
  const app = `node --import ${require.resolve("tsx")} ${REPOSITORY}/main.ts`;
  const directory = join(scratch.write("project/cdktf.json", JSON.stringify({ language: "typescript", app })), "..");
  const zookeeper = scratch.write("zookeeper.yaml", await inDefaultNetwork("zookeeper"));
  const cdktf = (...args: string[]) =>
    run(join(REPOSITORY, "node_modules", ".bin", "cdktf"), [...args, "--skip-provider-lock"], {
      cwd: directory,
      env: {
        ...emulatorEnvironment(aws.emulator()),
        HOLDFAST_DEPLOYMENTS: `${join(REPOSITORY, "deployments", "ez-cdc-production.yaml")} ${zookeeper}`,
        FORCE_COLOR: "0",
      },
    });

  // WHEN
  const deployed = await cdktf("deploy", ...STACKS, "--auto-approve");
  const again = await cdktf("diff", "zookeeper");
  const states = STACKS.map((stack) => existsSync(join(directory, `terraform.${stack}.tfstate`)));
  const destroyed = await cdktf("destroy", "production", "--auto-approve", "--skip-synth");
  const refused = await cdktf("destroy", "zookeeper", "--auto-approve", "--skip-synth");

  // THEN
  expect(deployed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Apply complete! Resources: \d+ added, 0 changed/),
  });
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("No changes.") });
  expect(states).toEqual([true, true]);
  expect(destroyed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Destroy complete! Resources: \d+ destroyed/),
  });
  // The CLI cuts off what Terraform says when it refuses; that it did is in the state.
  expect(refused).toMatchObject({ code: 1 });
  const { resources } = JSON.parse(readFileSync(join(directory, "terraform.zookeeper.tfstate"), "utf8"));
  const kept = resources.filter(({ type }: { type: string }) => type === "aws_ebs_volume");
  expect(kept).toHaveLength(3);
});

/** A document of `deployments/` in the network that the emulated account has from the start. */
async function inDefaultNetwork(name: string): Promise<string> {
  const client = new EC2Client({
    endpoint: aws.emulator().url,
    region: "us-west-2",
    credentials: { accessKeyId: "emulator", secretAccessKey: "emulator" },
  });
  const { Subnets = [] } = await client.send(new DescribeSubnetsCommand());
  const { SecurityGroups = [] } = await client.send(new DescribeSecurityGroupsCommand());
  client.destroy();
  const document = parse(readFileSync(join(REPOSITORY, "deployments", `${name}.yaml`), "utf8"));
  document.nodes.forEach((node: { node_subnet_id?: string; node_ip?: string }, i: number) => {
    node.node_subnet_id = Subnets[i]?.SubnetId ?? "";
    node.node_ip = Subnets[i]?.CidrBlock?.replace(/\d+\/\d+$/, "10") ?? "";
  });
  return stringify({ ...document, security_groups: SecurityGroups.map(({ GroupId }) => GroupId) });
}
