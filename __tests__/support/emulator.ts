import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmulatedAwsOptions, startEmulatedAws } from "../../scripts/emulator/emulated-aws";
import type { Emulator } from "../../scripts/emulator/moto";
import { type Terraform, terraformIn } from "../../scripts/emulator/terraform";

export interface EmulatedAws {
  readonly emulator: () => Emulator;
  /** Copies `directory` to one of the test's own and gives Terraform there, initialized. */
  readonly terraform: (directory: string, subdirectory?: string) => Promise<Terraform>;
}

/** A Terraform command loads the AWS provider's whole schema; a creation may poll for half a minute. */
const TERRAFORM_TIMEOUT_MS = 600_000;

/** Gives the tests of a file one emulated AWS, and directories to run Terraform in. */
export function useEmulatedAws(options: EmulatedAwsOptions = {}): EmulatedAws {
  jest.setTimeout(TERRAFORM_TIMEOUT_MS);
  let emulator: Emulator | undefined;
  let scratch = "";
  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), "holdfast-terraform-"));
    emulator = await startEmulatedAws(options);
  });
  afterAll(async () => {
    await emulator?.stop();
    rmSync(scratch, { recursive: true });
  });
  const running = () => {
    if (emulator === undefined) {
      throw new Error("the emulator runs from beforeAll on");
    }
    return emulator;
  };
  return {
    emulator: running,
    terraform: async (directory, subdirectory = ".") => {
      const copy = mkdtempSync(join(scratch, "configuration-"));
      cpSync(directory, copy, { recursive: true });
      const terraform = terraformIn(join(copy, subdirectory), running());
      await terraform.init();
      return terraform;
    },
  };
}
