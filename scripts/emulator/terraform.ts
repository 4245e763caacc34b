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
  };
}

export interface Plan {
  /** Resources that would be created, changed or destroyed. */
  readonly changes: readonly PlannedChange[];
  readonly outputs: Readonly<Record<string, { readonly after?: unknown }>>;
}

/** One configuration's directory and the commands that work in it; each throws an Error with what Terraform printed. */
export interface Terraform {
  readonly init: () => Promise<void>;
  readonly validate: () => Promise<void>;
  readonly plan: (...options: string[]) => Promise<Plan>;
  readonly apply: (...options: string[]) => Promise<void>;
  readonly destroy: () => Promise<void>;
  readonly outputs: () => Promise<Readonly<Record<string, unknown>>>;
  /** Addresses in the state. */
  readonly state: () => Promise<string[]>;
}

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
  const terraform = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run("terraform", args, { cwd: directory, env, signal });
    if (code !== 0) {
      throw new TerraformFailed(`terraform ${args.join(" ")}\n${stderr || stdout}`);
    }
    return stdout;
  };
  const json = async (...args: string[]) => JSON.parse(await terraform(...args));

  return {
    init: async () => {
      await terraform("init", "-no-color");
    },
    validate: async () => {
      await terraform("validate", "-no-color");
    },
    plan: async (...options) => {
      await terraform("plan", "-no-color", "-out=holdfast.tfplan", ...options);
      const { resource_changes = [], output_changes = {} } = await json("show", "-json", "holdfast.tfplan");
      return { changes: resource_changes.filter(changesSomething), outputs: output_changes };
    },
    apply: async (...options) => {
      await terraform("apply", "-no-color", "-auto-approve", ...options);
    },
    destroy: async () => {
      await terraform("destroy", "-no-color", "-auto-approve");
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
