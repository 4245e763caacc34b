import { TerraformDataSource, type TerraformElement, TerraformResource, type TerraformStack } from "cdktf";
import type { IConstruct } from "constructs";

/**
 * Fails synthesis when two elements of `stack` share a Terraform address.
 *
 * Without it the two are merged, without a word, into one block that has the arguments of both.
 */
export function requireUniqueAddresses(stack: TerraformStack): void {
  stack.node.addValidation({ validate: () => sharedAddresses(stack) });
}

function sharedAddresses(stack: TerraformStack): string[] {
  const owners = new Map<string, string>();
  const messages: string[] = [];
  for (const construct of stack.node.findAll()) {
    const address = addressOf(construct);
    if (address === undefined) {
      continue;
    }
    const owner = owners.get(address);
    if (owner === undefined) {
      owners.set(address, construct.node.path);
    } else {
      messages.push(`${construct.node.path} and ${owner} share the address ${address}`);
    }
  }
  return messages;
}

function addressOf(construct: IConstruct): string | undefined {
  if (TerraformDataSource.isTerraformDataSource(construct)) {
    return `data.${typedAddress(construct)}`;
  }
  return TerraformResource.isTerraformResource(construct) ? typedAddress(construct) : undefined;
}

function typedAddress(element: TerraformElement & { terraformResourceType: string }): string {
  return `${element.terraformResourceType}.${element.friendlyUniqueId}`;
}
