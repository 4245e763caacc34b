import type { Aws } from "../host/aws";
import type { AwsRecord } from "../host/xml";
import type { TokenReference } from "./config";

/**
 * The token with which workers of this deployment register, from where the operator keeps it.
 *
 * @throws AwsError if it is missing or may not be read.
 */
export async function fetchDeploymentToken(aws: Aws, { secretArn, parameterName }: TokenReference): Promise<string> {
  const value = secretArn
    ? (await aws.call("secretsmanager", "GetSecretValue", { SecretId: secretArn }))["SecretString"]
    : (
        (await aws.call("ssm", "GetParameter", { Name: parameterName ?? "", WithDecryption: true }))[
          "Parameter"
        ] as AwsRecord
      )["Value"];
  if (typeof value !== "string" || value.trim() === "") {
    throw new Error(`${secretArn ?? parameterName} holds no text: store the deployment's token there`);
  }
  return value.trim();
}
