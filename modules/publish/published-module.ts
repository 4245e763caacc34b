import type { Construct } from "constructs";
import type { ModuleStack } from "./module-stack";

/** A file that the module carries next to its Terraform code, read there as `${path.module}/<to>`. */
export interface ModuleAsset {
  /** File to copy: absolute, or relative to the repository's root. */
  readonly from: string;
  /** Fixed name in the module's directory, so that its contents alone change a plan. */
  readonly to: string;
  /** @default false */
  readonly executable?: boolean;
}

/** A whole HCL configuration that shows the module in use. */
export interface ModuleExample {
  /** Name of its folder below `examples/`. */
  readonly name: string;
  /** The configuration, whose module block has the source `../..`. */
  readonly mainTf: string;
}

/** A Terraform module that can be written to a directory of its own: the root, what it nests, and what it carries. */
export interface PublishedModule {
  /** Name in the registry: `terraform-aws-<name>`. */
  readonly name: string;
  /** What it is for, in one paragraph of Markdown: the head of its README. */
  readonly summary: string;
  readonly root: (scope: Construct, id: string) => ModuleStack;
  /**
   * Modules below `modules/<name>/`, which the root calls with the source `./modules/<name>`.
   * @default - none
   */
  readonly nested?: Readonly<Record<string, (scope: Construct, id: string) => ModuleStack>>;
  /** @default - none */
  readonly assets?: readonly ModuleAsset[];
  /** At least one; the first is also shown in the README. */
  readonly examples: readonly [ModuleExample, ...ModuleExample[]];
}
