import { type TerraformBackend, TerraformElement, TerraformProvider, TerraformStack } from "cdktf";
import type { Construct, Node } from "constructs";
import { requireUniqueAddresses } from "./unique-addresses";

/** A provider that the caller of a module configures. */
export interface ProviderRequirement {
  /** Local name, the prefix of its resource types. */
  readonly name: string;
  /** Registry address, such as `hashicorp/aws`. */
  readonly source: string;
  /** Version constraint: a range, since the caller's other modules have a say too. */
  readonly version: string;
}

/** From the last 5.x on, whose attributes are all we use, up to what the bindings were generated for. */
export const AWS_PROVIDER: ProviderRequirement = {
  name: "aws",
  source: "hashicorp/aws",
  version: ">= 5.100.0, < 7.0.0",
};

export const NULL_PROVIDER: ProviderRequirement = { name: "null", source: "hashicorp/null", version: ">= 3.2.1" };

/** Terraform 1.7 (or OpenTofu 1.8) is the first that can test a module with mocked providers. */
export const TERRAFORM_VERSION = ">= 1.7";

export interface ModuleStackProps {
  /**
   * Providers that the caller configures.
   * @default - AWS alone
   */
  readonly providers?: readonly ProviderRequirement[];
  /**
   * Path of a construct inside the stack to the Terraform name it is published under, where the name that cdktf derives is
   * not the one that was promised: `{ "Default/region": "current" }`.
   *
   * Children of a construct with the id `Default` keep their own id as their name and need no entry.
   * @default - names are derived from construct paths
   */
  readonly addresses?: Readonly<Record<string, string>>;
}

/**
 * A stack that synthesizes to a Terraform module: it requires providers and configures none, has no backend, and pins the
 * addresses it promises.
 *
 * Give it an `App` of its own, through {@link PublishedModule}; in the application's App it would be deployed.
 * https://developer.hashicorp.com/terraform/language/modules/develop/providers
 */
export class ModuleStack extends TerraformStack {
  private readonly addresses: Readonly<Record<string, string>> | undefined;

  public constructor(scope: Construct, id: string, props: ModuleStackProps = {}) {
    super(scope, id);
    this.addresses = props.addresses;
    for (const requirement of props.providers ?? [AWS_PROVIDER]) {
      new RequiredProvider(this, requirement);
    }
    this.addOverride("terraform.required_version", TERRAFORM_VERSION);
    requireUniqueAddresses(this);
    this.node.addValidation({ validate: () => this.addressesOfNobody() });
  }

  public override toTerraform(): Record<string, unknown> {
    const { provider: _configuredByCaller, ...module } = super.toTerraform();
    const { backend: _chosenByCaller, ...terraform } = module.terraform;
    return { ...module, terraform };
  }

  /** A module has no backend, hence no default one, whose absolute path would also differ between machines. */
  public override ensureBackendExists(): TerraformBackend {
    return undefined as unknown as TerraformBackend;
  }

  /** Also called by the base constructor, before there are any addresses. */
  protected override allocateLogicalId(element: TerraformElement | Node): string {
    const node = TerraformElement.isTerraformElement(element) ? element.node : element;
    return this.addresses?.[this.pathInside(node)] ?? super.allocateLogicalId(element);
  }

  private addressesOfNobody(): string[] {
    const paths = new Set(this.node.findAll().map(({ node }) => this.pathInside(node)));
    return Object.keys(this.addresses ?? {})
      .filter((path) => !paths.has(path))
      .map((path) => `${this.node.path} promises an address for ${path}, but has no such construct`);
  }

  private pathInside(node: Node): string {
    return node.path.slice(this.node.path.length + 1);
  }
}

/** Stands for a provider configured elsewhere: satisfies cdktf's check that one exists, and emits its requirement alone. */
export class RequiredProvider extends TerraformProvider {
  public constructor(scope: Construct, { name, source, version }: ProviderRequirement) {
    super(scope, `provider-${name}`, {
      terraformResourceType: name,
      terraformProviderSource: source,
      terraformGeneratorMetadata: { providerName: name, providerVersionConstraint: version },
    });
  }
}
