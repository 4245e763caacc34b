import { readFileSync } from "node:fs";
import { join } from "node:path";
import { directoryDeployment } from "../../../scripts/rehearse/deployment/directory";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();

/** What Terraform gets of a directory with this configuration. */
async function written(name: string, configuration: string) {
  scratch.write(`given/${name}`, configuration);
  const { remarks } = await directoryDeployment(join(scratch.path, "given")).write({
    directory: scratch.path,
    url: "http://127.0.0.1:1",
    network: "10.181.0.0/16",
    dials: undefined,
    signal: new AbortController().signal,
  });
  return { remarks, text: readFileSync(join(scratch.path, "configuration", name), "utf8") };
}

const HCL = `provider "aws" {
  region = "eu-west-1"
}
module "orders" {
  source         = "registry.example.com/holdfast/stateful-cluster/aws"
  rolling_update = { options = ["--poll", "5s"], when = "apply" }
  nodes          = [{ node_id = "00", node_ip = "10.50.0.10", node_subnet_id = aws_subnet.one.id }]
  snapshots      = { when = "apply" }
}
`;

test("a copy's addresses lie in the rehearsal's network, and its applies do not roll: what is different is told", async () => {
  const { remarks, text } = await written("main.tf", HCL);
  expect(text).toBe(
    HCL.replace("10.50.", "10.181.").replace('["--poll", "5s"], when = "apply"', '["--poll", "5s"], when = "none"'),
  );
  expect(remarks).toEqual([
    "Addresses of 10.50.0.0/16 are in 10.181.0.0/16.",
    "Its applies roll nothing here: the rehearsal rolls, and watches.",
  ]);
  expect(readFileSync(join(scratch.path, "given/main.tf"), "utf8")).toBe(HCL);
});

test("so it is in Terraform's JSON", async () => {
  const configuration = (when: string) =>
    JSON.stringify({
      provider: { aws: { region: "eu-west-1" } },
      module: { orders: { source: "registry.example.com/a/b/aws", rolling_update: { when } } },
    });
  expect((await written("main.tf.json", configuration("apply"))).text).toBe(configuration("none"));
});
