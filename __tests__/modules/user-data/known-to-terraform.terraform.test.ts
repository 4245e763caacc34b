import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, TerraformOutput, TerraformStack, TerraformVariable, Testing } from "cdktf";
import { USER_DATA_LIMIT_BYTES } from "../../../modules/user-data/user-data";
import { workerUserData } from "../../../modules/user-data/worker-user-data";
import { fileIn, MAXIMAL_WORKER, unpacked } from "../../support/user-data";

test("what Terraform makes of its own values is what would have been written with them", () => {
  // GIVEN
  const app = new App();
  const stack = new TerraformStack(app, "stack");
  const deployment = new TerraformVariable(stack, "deployment", { type: "string" });
  const slots = new TerraformVariable(stack, "slots", { type: "number" });
  const labels = new TerraformVariable(stack, "labels", { type: "map(string)" });
  const proxy = new TerraformVariable(stack, "proxy", { type: "string" });
  const odd = 'quotes " and ${templates} and \\ and \u00e9';

  // WHEN
  const userData = workerUserData(stack, "user-data", {
    ...MAXIMAL_WORKER,
    deployment: deployment.stringValue,
    autoScalingGroupName: `${deployment.stringValue}-docs`,
    slots: slots.numberValue,
    labels: labels.value,
    proxy: { url: proxy.stringValue },
    hooks: { beforeInstall: `echo '${odd}' %{if}` },
  });
  new TerraformOutput(stack, "user_data", { value: userData.base64 });
  new TerraformOutput(stack, "fits", { value: userData.sizeCheck?.condition });
  new TerraformOutput(stack, "message", { value: userData.sizeCheck?.errorMessage });
  const outputs = apply(Testing.synth(stack), {
    deployment: odd,
    slots: 7,
    labels: { a: odd },
    proxy: "http://proxy:3128",
  });

  // THEN
  const document = unpacked(outputs.user_data);
  const config = JSON.parse(fileIn(document, "/etc/holdfast/worker.json"));
  expect(config).toMatchObject({
    deployment: odd,
    autoScalingGroupName: `${odd}-docs`,
    slots: 7,
    labels: { a: odd },
    hooks: { beforeInstall: `echo '${odd}' %{if}` },
    cloudWatchAgent: MAXIMAL_WORKER.cloudWatchAgent,
  });
  expect(fileIn(document, "/etc/holdfast/environment")).toContain("HTTPS_PROXY=http://proxy:3128\n");
  expect(fileIn(document, "/opt/holdfast/worker.mjs")).toBe(readFileSync("dist/worker.mjs", "utf8").trimEnd());
  expect(document.endsWith("\nboot\n")).toBe(true);

  const size = Buffer.from(outputs.user_data, "base64").length;
  expect(outputs.fits).toBe(size <= USER_DATA_LIMIT_BYTES);
  expect(outputs.message).toContain(`takes ${size} bytes`);
}, 60_000);

/** The values of the outputs. */
function apply(synthesized: string, variables: object): { user_data: string; fits: boolean; message: string } {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-terraform-"));
  const terraform = (...args: string[]) =>
    execFileSync("terraform", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    writeFileSync(join(folder, "main.tf.json"), synthesized);
    writeFileSync(join(folder, "values.auto.tfvars.json"), JSON.stringify(variables));
    terraform("init", "-backend=false");
    terraform("apply", "-auto-approve");
    const { user_data, fits, message } = JSON.parse(terraform("output", "-json"));
    return { user_data: user_data.value, fits: fits.value, message: message.value };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
