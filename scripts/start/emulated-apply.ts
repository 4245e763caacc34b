import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Emulator, startMoto } from "../emulator/moto";
import { TerraformFailed, terraformIn } from "../emulator/terraform";
import { missingCommands } from "../test-tiers";

/** What came of applying a stack to an emulated AWS. */
export type EmulatedApply =
  | { readonly applied: true; readonly stack: string; readonly resources: number; readonly outputs: Outputs }
  | { readonly applied: false; readonly skipped: string };

type Outputs = Readonly<Record<string, unknown>>;

const TOOLS = {
  name: "apply",
  proves: "",
  commands: ["terraform", "moto_server"],
};

const WHERE: Readonly<Record<string, string>> = {
  terraform: "https://developer.hashicorp.com/terraform/install",
  moto_server: "pip install 'moto[server]'",
};

/**
 * Applies `stack` of `outdir` to an emulated AWS that starts and ends with it, in a directory of its own. Without the tools,
 * or without a provider to install, it is skipped, and says what to do.
 *
 * @throws TerraformFailed where the emulated AWS refuses what was synthesized.
 */
export async function applyToEmulator(
  outdir: string,
  stack: string,
  progress: (step: string) => void,
  signal: AbortSignal,
): Promise<EmulatedApply> {
  const missing = missingCommands(TOOLS);
  if (missing.length > 0) {
    const how = missing.map((command) => `${command} (${WHERE[command]})`).join(" and ");
    return { applied: false, skipped: `applying ${stack} to an emulated AWS needs ${how}` };
  }
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-start-"));
  let emulator: Emulator | undefined;
  try {
    cpSync(join(outdir, "stacks", stack, "cdk.tf.json"), join(scratch, "cdk.tf.json"));
    writeFileSync(join(scratch, "backend_override.tf.json"), JSON.stringify({ terraform: { backend: { local: {} } } }));
    progress("starting the emulated AWS (moto_server)");
    emulator = await startMoto();
    const terraform = terraformIn(scratch, emulator, { signal });
    progress("terraform init");
    const uninstallable = await terraform.init().then(() => undefined, installFailure);
    if (uninstallable !== undefined) {
      return { applied: false, skipped: uninstallable };
    }
    progress(`terraform apply of ${stack}`);
    await terraform.apply();
    const [outputs, state] = [await terraform.outputs(), await terraform.state()];
    const resources = state.filter((address) => !/(^|\.)data\./.test(address)).length;
    return { applied: true, stack, resources, outputs };
  } finally {
    await emulator?.stop();
    rmSync(scratch, { recursive: true });
  }
}

function installFailure(error: unknown): string {
  if (!(error instanceof TerraformFailed)) {
    throw error;
  }
  const reason = error.message.split("\n").find((line) => /^\s*Error|│\s*Error/.test(line)) ?? "";
  return (
    `terraform init cannot install the AWS provider (${reason.replace(/^[\s│]*/, "")}); it needs the Terraform registry, or ` +
    "TF_CLI_CONFIG_FILE with a mirror"
  );
}
