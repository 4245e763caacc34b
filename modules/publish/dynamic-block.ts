import type { IResolvable, TerraformResource } from "cdktf";

export interface DynamicBlock {
  /** Name of the repeated block; its iterator has the same name, so that a resource's own `each` stays visible. */
  readonly block: string;
  /** Collection with one element per block, usually `hcl("var.…")`. */
  readonly forEach: IResolvable;
  /** Arguments of one block, where `${<block>.key}` and `${<block>.value}` stand for the element. */
  readonly content: Readonly<Record<string, unknown>>;
}

/**
 * Repeats a nested block of `resource` over a collection that is known to Terraform alone. Blocks set through the
 * resource's own props stay in front of it.
 * https://developer.hashicorp.com/terraform/language/expressions/dynamic-blocks
 */
export function addDynamicBlock(resource: TerraformResource, { block, forEach, content }: DynamicBlock): void {
  resource.addOverride(`dynamic.${block}`, { for_each: forEach, content });
}
