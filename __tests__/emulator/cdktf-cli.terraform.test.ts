import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "../../scripts/emulator/child";
import { emulatorEnvironment } from "../../scripts/emulator/terraform";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";

const REPOSITORY = resolve(__dirname, "..", "..");
const STACK = "production";

const aws = useEmulatedAws();
const scratch = useScratch();

test("cdktf deploys the ez-cdc example, finds nothing more to do, keeps its state beside it, and destroys it", async () => {
  // GIVEN the app of cdktf.json in a directory of its own, where its state then lies too
  const app = `${REPOSITORY}/node_modules/.bin/tsx ${REPOSITORY}/main.ts`;
  const directory = join(scratch.write("project/cdktf.json", JSON.stringify({ language: "typescript", app })), "..");
  const cdktf = (...args: string[]) =>
    run(join(REPOSITORY, "node_modules", ".bin", "cdktf"), [...args, STACK, "--skip-provider-lock"], {
      cwd: directory,
      env: {
        ...emulatorEnvironment(aws.emulator()),
        HOLDFAST_DEPLOYMENTS: join(REPOSITORY, "deployments", "ez-cdc-production.yaml"),
        FORCE_COLOR: "0",
      },
    });

  // WHEN
  const deployed = await cdktf("deploy", "--auto-approve");
  const again = await cdktf("diff");
  const destroyed = await cdktf("destroy", "--auto-approve");

  // THEN
  expect(deployed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Apply complete! Resources: \d+ added, 0 changed/),
  });
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("No changes.") });
  expect(existsSync(join(directory, `terraform.${STACK}.tfstate`))).toBe(true);
  expect(destroyed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Destroy complete! Resources: \d+ destroyed/),
  });
});
