import { run } from "./child";
import type { Emulator } from "./moto";

/** What a plan wants to do to one resource. */
export interface PlannedChange {
  readonly address: string;
  readonly type: string;
  readonly change: {
    readonly actions: readonly string[];
    readonly before: Readonly<Record<string, unknown>> | null;
    readonly after: Readonly<Record<string, unknown>> | null;
    /** `true` where a value is known only once it is applied. */
    readonly after_unknown?: Readonly<Record<string, unknown>>;
  };
}

export interface Plan {
  /** Resources that would be created, changed or destroyed. */
  readonly changes: readonly PlannedChange[];
}

/** One configuration's directory and the commands that work in it; each throws an Error with what Terraform printed. */
export interface Terraform {
  readonly init: () => Promise<void>;
  readonly plan: (...options: string[]) => Promise<Plan>;
  readonly apply: (...options: string[]) => Promise<void>;
  readonly destroy: (...options: string[]) => Promise<void>;
  readonly outputs: () => Promise<Readonly<Record<string, unknown>>>;
  /** Addresses in the state. */
  readonly state: () => Promise<string[]>;
}

/** https://developer.hashicorp.com/terraform/cli/commands/plan#detailed-exitcode */
const SOMETHING_TO_CHANGE = 2;

/** A command that Terraform refused or failed at. */
export class TerraformFailed extends Error {
  public override readonly name = "TerraformFailed";
}

/**
 * The environment in which Terraform and its AWS provider talk to `emulator` alone: nothing in a configuration says so.
 * https://registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/custom-service-endpoints
 */
export function emulatorEnvironment({ url }: Emulator): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("AWS_"));
  return {
    ...Object.fromEntries(inherited),
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: "emulator",
    AWS_SECRET_ACCESS_KEY: "emulator",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_MAX_ATTEMPTS: "1",
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
  };
}

export interface TerraformOptions {
  /** Interrupts what runs. */
  readonly signal?: AbortSignal;
  /** Added to the environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Terraform in `directory` against `emulator`. */
export function terraformIn(directory: string, emulator: Emulator, options: TerraformOptions = {}): Terraform {
  const { signal, environment } = options;
  const env = { ...emulatorEnvironment(emulator), ...environment };
  const finished = async (args: readonly string[], expected: readonly number[]) => {
    const { code, stdout, stderr } = await run("terraform", args, { cwd: directory, env, signal });
    if (!expected.includes(code)) {
      throw new TerraformFailed(`terraform ${args.join(" ")}\n${stderr || stdout}`);
    }
    return { code, stdout };
  };
  const terraform = async (...args: string[]) => (await finished(args, [0])).stdout;
  const json = async (...args: string[]) => JSON.parse(await terraform(...args));

  return {
    init: async () => {
      await terraform("init", "-no-color");
    },
    plan: async (...options) => {
      const plan = ["plan", "-no-color", "-detailed-exitcode", "-out=holdfast.tfplan", ...options];
      const { code } = await finished(plan, [0, SOMETHING_TO_CHANGE]);
      // Showing a plan loads the providers' schemas once more: not for one that says nothing.
      if (code === 0) return { changes: [] };
      const { resource_changes = [] } = await json("show", "-json", "holdfast.tfplan");
      return { changes: resource_changes.filter(changesSomething) };
    },
    apply: async (...options) => {
      await terraform("apply", "-no-color", "-auto-approve", ...options);
    },
    destroy: async (...options) => {
      await terraform("destroy", "-no-color", "-auto-approve", ...options);
    },
    outputs: async () => {
      const outputs: Record<string, { value: unknown }> = await json("output", "-json");
      return Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]));
    },
    state: async () => (await terraform("state", "list")).split("\n").filter((address) => address !== ""),
  };
}

function changesSomething({ change: { actions } }: PlannedChange): boolean {
  return !actions.every((action) => action === "no-op" || action === "read");
}
