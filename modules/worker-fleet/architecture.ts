/** Processor architectures of EC2, in the words of its API. */
export type Architecture = "x86_64" | "arm64";

/** `<family>.<size>`, with the family captured; also in the words of Terraform's regular expressions. */
export const INSTANCE_TYPE = /^([a-z][a-z0-9-]*)\.[a-z0-9-]+$/;

/** Arm families whose names do not say so: the first Graviton, and the Grace processors beside GB200. */
const UNMARKED_ARM64_FAMILIES = new Set(["a1", "p6e-gb200"]);

/**
 * The architecture that an EC2 instance type runs.
 *
 * In a family's name the letters after the generation are its options, and `g` among them stands for a Graviton
 * processor: `c7gn` and `g5g` are arm64, `g5` (a family called g) and `c6i` are not.
 *
 * @see https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 * @throws Error naming the value when it is not shaped like an instance type.
 */
export function architectureOf(instanceType: string): Architecture {
  const family = INSTANCE_TYPE.exec(instanceType)?.[1];
  if (family === undefined) {
    throw new Error(`instance type "${instanceType}" should be <family>.<size>, for example c7g.large`);
  }
  const options = /^[a-z]+\d+([a-z]*)/.exec(family)?.[1] ?? "";
  return options.includes("g") || UNMARKED_ARM64_FAMILIES.has(family) ? "arm64" : "x86_64";
}

/** The architectures of a list of instance types, in the order in which they first appear. */
export function architecturesOf(instanceTypes: readonly string[]): readonly Architecture[] {
  return [...new Set(instanceTypes.map(architectureOf))];
}
