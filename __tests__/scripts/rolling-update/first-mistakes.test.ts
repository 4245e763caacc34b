import { CloudError } from "../../../scripts/rolling-update/cloud";
import { manifestFrom } from "../../../scripts/rolling-update/manifest";
import { asRollError, RollError } from "../../../scripts/rolling-update/roll-error";
import { parseSettings, type SettingsInput } from "../../../scripts/rolling-update/settings";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();

function refusal(act: () => unknown): RollError {
  try {
    act();
  } catch (error) {
    if (error instanceof RollError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test("a file that is no manifest is named, and so is what it lacks and holds beside", () => {
  const file = scratch.write("package.json", '{"name": "shop", "cluster": 7}');

  const { code, message, next } = refusal(() => manifestFrom(file));

  expect(code).toBe("MANIFEST_INVALID");
  expect(message).toBe(
    `the cluster manifest ${file} is none: cluster should be a string; accountId is missing; region is missing; ` +
      "tag is missing; nodes is missing; unknown key name",
  );
  expect(next).toContain("terraform output -raw roll_manifest");
});

test("settings that are none name the option, and where it is written how it is to be", () => {
  const { message, next } = refusal(() => parseSettings({ application: { kind: "etc" } } as unknown as SettingsInput));

  expect(message).toMatch(/^the settings are invalid: application/);
  expect(next).toContain("holdfast roll run --help");
});

test("where no credentials are found nothing was refused: log in", () => {
  const none = new CloudError("ssm:GetParametersByPath", "CredentialsProviderError", "Could not load credentials");

  expect(asRollError(none)).toMatchObject({
    code: "CLOUD_DENIED",
    message: "no AWS credentials were found",
    reason: "Could not load credentials",
    next: "set AWS_PROFILE, or log in (`aws sso login`), and repeat the command",
  });
});
