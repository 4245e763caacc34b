import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { LocalBackend, S3Backend, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import {
  AWS_PROVIDER,
  type ProviderRequirement,
  RequiredProvider,
  TERRAFORM_VERSION,
} from "../modules/publish/module-stack";
import { requireUniqueAddresses } from "../modules/publish/unique-addresses";
import type { DeploymentKeys } from "./deployment-keys";

/** The first Terraform whose S3 backend locks with a file; OpenTofu has it from 1.10 on too. */
const TERRAFORM_WITH_LOCK_FILE = ">= 1.10";

/**
 * The stack of one deployment: its AWS provider, its backend, and no two elements under one address.
 *
 * Endpoints, retries and credentials are not written into it: the provider reads AWS_ENDPOINT_URL, AWS_MAX_ATTEMPTS and
 * the usual credential variables itself.
 */
export class DeploymentStack extends TerraformStack {
  public readonly region: string;

  public constructor(scope: Construct, { name, aws, backend }: DeploymentKeys) {
    super(scope, name);
    this.region = aws.region;
    this.configureAws(aws);
    this.configureBackend(name, backend);
    requireUniqueAddresses(this);
  }

  /** Lets the stack use another provider, with no configuration of its own. */
  public requireProvider(requirement: ProviderRequirement): void {
    new RequiredProvider(this, requirement);
  }

  private configureAws({ region, allowed_account_ids, assume_role, default_tags }: DeploymentKeys["aws"]): void {
    new AwsProvider(this, "aws", {
      region,
      ...(allowed_account_ids === undefined ? {} : { allowedAccountIds: allowed_account_ids }),
      ...(assume_role === undefined ? {} : { assumeRole: [assumeRole(assume_role)] }),
      ...(Object.keys(default_tags).length === 0 ? {} : { defaultTags: [{ tags: default_tags }] }),
    });
    const { source, version } = AWS_PROVIDER;
    this.addOverride("terraform.required_providers.aws", { source, version });
  }

  private configureBackend(name: string, backend: DeploymentKeys["backend"]): void {
    if (backend === undefined) {
      // Terraform runs in cdktf.out/stacks/<name>; the state outlives a deleted cdktf.out.
      new LocalBackend(this, { path: `../../../terraform.${name}.tfstate` });
      this.addOverride("terraform.required_version", TERRAFORM_VERSION);
      return;
    }
    new S3Backend(this, { ...backend, encrypt: true });
    this.addOverride("terraform.backend.s3.use_lockfile", true);
    this.addOverride("terraform.required_version", TERRAFORM_WITH_LOCK_FILE);
  }
}

function assumeRole({ role_arn, session_name, external_id }: NonNullable<DeploymentKeys["aws"]["assume_role"]>) {
  return {
    roleArn: role_arn,
    ...(session_name === undefined ? {} : { sessionName: session_name }),
    ...(external_id === undefined ? {} : { externalId: external_id }),
  };
}
