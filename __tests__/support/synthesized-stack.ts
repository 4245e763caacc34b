import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, TerraformStack, Testing } from "cdktf";

/** An empty stack for AWS constructs. */
export function awsStack(id = "test"): TerraformStack {
  const stack = new TerraformStack(Testing.stubVersion(new App({ stackTraces: false })), id);
  new AwsProvider(stack, "aws", { region: "us-west-2" });
  return stack;
}

/** Arguments of one synthesized block, as Terraform JSON has them. */
// biome-ignore lint/suspicious/noExplicitAny: tests reach into arbitrary resource arguments
export type Block = Record<string, any>;

/** Terraform JSON of a stack, asked for by what is in it. */
export class SynthesizedStack {
  public readonly json: Block;

  /** @throws Error with every failed validation of the stack's constructs. */
  public constructor(stack: TerraformStack) {
    this.json = JSON.parse(Testing.synth(stack, true));
  }

  /** Resources of a type, by name. */
  public resources(type: string): Record<string, Block> {
    return this.json["resource"]?.[type] ?? {};
  }

  /** Data sources of a type, by name. */
  public dataSources(type: string): Record<string, Block> {
    return this.json["data"]?.[type] ?? {};
  }

  /** The one resource of a type. */
  public only(type: string): Block {
    const found = Object.values(this.resources(type));
    if (found.length !== 1 || found[0] === undefined) {
      throw new Error(`expected one ${type}, found ${Object.keys(this.resources(type)).join(", ") || "none"}`);
    }
    return found[0];
  }

  /** Every resource address, sorted. */
  public get addresses(): string[] {
    return Object.entries(this.json["resource"] ?? {})
      .flatMap(([type, named]) => Object.keys(named as Block).map((name) => `${type}.${name}`))
      .sort();
  }
}
