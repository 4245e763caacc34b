import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findDeployment } from "../../../scripts/rehearse/deployment/find";
import { runCommand } from "../../../scripts/rehearse/run-command";
import { machinesFor } from "../../../scripts/rehearse/stage/machine-kind";
import { useScratch } from "../../support/scratch";
import { page } from "./terminal";

const scratch = useScratch();
const DEPLOYMENTS = join(__dirname, "../../../deployments");

async function refusal(deployment: string, flags: Parameters<typeof runCommand>[1] = {}): Promise<string> {
  const [stdout, stderr] = [page(), page()];
  const surroundings = { stdout: stdout.stream, stderr: stderr.stream, exit: () => {} };
  const code = await runCommand(deployment, { output: join(scratch.path, "out"), ...flags }, surroundings);
  expect([code, stdout.text()]).toEqual([2, ""]);
  return stderr.text();
}

test("a deployment that is not there is refused with those that are", async () => {
  expect(await refusal("zoo")).toMatch(
    /^zoo: no such file or directory.*\n {2}next: in deployments\/ there are .*zookeeper/,
  );
});

test("a file with several deployments wants to be told which", async () => {
  const file = scratch.write("two.yaml", "kind: x\nname: one\n---\nkind: x\nname: two\n");
  expect(await refusal(file)).toContain("two.yaml holds several deployments\n  next: name one: one, two");
});

test("a document without what every document has is refused by the name of the field", async () => {
  const file = scratch.write("bare.yaml", "kind: stateful-cluster\nname: bare\n");
  expect(await refusal(file)).toContain("bare.yaml: aws: ");
});

test("a directory without Terraform, and one that says no region, are refused", async () => {
  scratch.write("empty/notes.txt", "");
  expect(await refusal(join(scratch.path, "empty"))).toContain("holds no .tf or .tf.json file");

  const { AWS_REGION, AWS_DEFAULT_REGION, ...environment } = process.env;
  scratch.write("nowhere/main.tf", 'provider "aws" {}\n');
  const before = process.env;
  process.env = environment;
  try {
    expect(await refusal(join(scratch.path, "nowhere"))).toContain(
      "nowhere: no provider names its region\n  next: set AWS_REGION",
    );
  } finally {
    process.env = before;
  }
});

test("what was asked for twice, or cannot happen on these machines, is refused before anything is made", async () => {
  expect(await refusal(`${DEPLOYMENTS}/zookeeper.yaml`, { event: ["roll"], scenario: "s.yaml" })).toContain(
    "--event and --scenario exclude each other",
  );
  expect(await refusal(`${DEPLOYMENTS}/zookeeper.yaml`, { event: ["fill-disk 00"], machines: "none" })).toContain(
    "fill-disk 00: needs an operating system to happen in\n  next: use --machines container",
  );
});

test("an image is for containers alone, and has its packages", async () => {
  const zookeeper = `${DEPLOYMENTS}/zookeeper.yaml`;
  expect(await refusal(zookeeper, { image: "own", machines: "none" })).toBe(
    "--image own: nothing boots it with --machines none\n  next: use --machines container\n",
  );
  expect(await refusal(zookeeper, { image: "own", packages: ["etcd-server"], machines: "none" })).toContain(
    "--image and --packages exclude each other",
  );
});

test("workers that take their jobs from queues are not rehearsed in containers: why, and what works, is said", async () => {
  const fleet = `${DEPLOYMENTS}/content-backup.yaml`;
  expect(await refusal(fleet, { machines: "container" })).toBe(
    `--machines container: ${fleet}: its workers take their jobs from queues, which would be empty\n` +
      `  next: holdfast rehearse ${fleet} --machines none\n`,
  );
  expect(machinesFor(undefined, { asked: fleet, workers: findDeployment(fleet).workers })).toEqual({
    kind: "none",
    why: `machines: none, since ${fleet}: its workers take their jobs from queues, which would be empty`,
  });
});

test("a fleet's document that is not sound is refused by the name of the field", async () => {
  const file = scratch.write(
    "fleet.yaml",
    readFileSync(`${DEPLOYMENTS}/ez-cdc-production.yaml`, "utf8").replace(
      "min: 2, max: 10, initial: 3",
      "min: 12, max: 10",
    ),
  );
  expect(await refusal(file)).toContain("fleet.yaml: pools.streaming.size.min: should be <= size.max (10)\n");
});

test("a deployment is found by its file, by its name, and by its directory", () => {
  expect(findDeployment(`${DEPLOYMENTS}/zookeeper.yaml`)).toMatchObject({ name: "zookeeper", region: "us-west-2" });
  expect(findDeployment("production", DEPLOYMENTS)).toMatchObject({ name: "production", region: "eu-west-1" });
  expect(findDeployment(join(__dirname, "../../../examples/etcd"))).toMatchObject({
    name: "etcd",
    region: "us-west-2",
  });
});
