import { z } from "zod";

const arn = (service: string) => z.string().regex(new RegExp(`^arn:aws[a-z-]*:${service}:`));

/** Where a deployment goes: what its AWS provider is configured with. */
const awsKeys = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d+$/)
    .describe("AWS region, such as us-west-2."),
  allowed_account_ids: z
    .array(z.string().regex(/^\d{12}$/))
    .min(1)
    .optional()
    .describe("Accounts this may be applied to; with any other credentials Terraform stops before it plans."),
  assume_role: z
    .strictObject({
      role_arn: arn("iam:").describe("Role to assume with the credentials at hand."),
      session_name: z.string().min(2).max(64).optional().describe("Name of the session in CloudTrail."),
      external_id: z.string().min(2).max(1224).optional().describe("External id that the role's trust asks for."),
    })
    .optional()
    .describe("Role to act as; without it the credentials at hand are used as they are."),
  default_tags: z
    .record(z.string().min(1).max(128), z.string().max(256))
    .default({})
    .describe("Tags of every resource that can be tagged."),
});

const backendKeys = z.strictObject({
  bucket: z.string().min(3).max(63).describe("S3 bucket of the state, with versioning on."),
  key: z.string().min(1).max(1024).describe("Object key of this deployment's state; unique in the bucket."),
  region: awsKeys.shape.region.describe("Region of the bucket."),
});

/** Keys that every document has, whatever its kind. */
export const deploymentKeys = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/)
    .describe("Name of the deployment and of its stack; unique among all documents."),
  aws: awsKeys.describe("Where to deploy."),
  backend: backendKeys
    .optional()
    .describe("S3 bucket that holds the state, locked by a file beside it. Default: a local file beside cdktf.out."),
});

export type DeploymentKeys = z.output<typeof deploymentKeys>;
