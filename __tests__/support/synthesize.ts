import { Testing } from "cdktf";
import type { Construct } from "constructs";
import { unknownAttributes } from "./provider-attributes";
import { awsStack } from "./synthesized-stack";

export type Attributes = Readonly<Record<string, unknown>>;

/** Terraform JSON as cdktf writes it. */
export interface Synthesized {
  readonly resource?: Readonly<Record<string, Readonly<Record<string, Attributes>>>>;
  readonly data?: Readonly<Record<string, Readonly<Record<string, Attributes>>>>;
  readonly [section: string]: unknown;
}

export interface SynthesizedResource {
  /** `type.name`, as references write it. */
  readonly address: string;
  readonly attributes: Attributes;
}

/**
 * Synthesizes what `build` makes in a stack of its own, with the validations of a real synth, and parses the result.
 *
 * @throws Error for an attribute that AWS provider 5.100 does not have.
 */
export function synthesize(build: (scope: Construct) => void): Synthesized {
  const stack = awsStack();
  build(stack);
  const synthesized = JSON.parse(Testing.synth(stack, true)) as Synthesized;
  const unknown = unknownAttributes(synthesized);
  if (unknown.length > 0) throw new Error(`AWS provider 5.100 lacks ${unknown.join(", ")}`);
  return synthesized;
}

/** The resources of a type, in the order of their addresses. */
export function synthesizedResources(stack: Synthesized, type: string): SynthesizedResource[] {
  return Object.entries(stack.resource?.[type] ?? {}).map(([name, attributes]) => ({
    address: `${type}.${name}`,
    attributes,
  }));
}
