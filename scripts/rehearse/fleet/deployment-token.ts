import { awsCalls } from "../../emulator/aws-calls";
import { textAt } from "../../emulator/tree";
import type { TokenStore } from "./fleet-needs";

/** What a document says of where its token is. */
export type TokenReference = { readonly secrets_manager_arn: string } | { readonly ssm_parameter_arn: string };

/** The account of an emulated AWS. */
const ACCOUNT = "123456789012";
const NAME = "holdfast/rehearsal/worker-token";

/** Keeps a fleet's token in the emulated AWS, in the store that its document names. */
export async function storeToken(
  url: string,
  region: string,
  store: TokenStore,
  token: string,
): Promise<TokenReference> {
  const call = awsCalls(url);
  if (store === "parameter") {
    await call("ssm", region, "PutParameter", { Name: `/${NAME}`, Type: "SecureString", Value: token });
    return { ssm_parameter_arn: `arn:aws:ssm:${region}:${ACCOUNT}:parameter/${NAME}` };
  }
  const made = await call("secretsmanager", region, "CreateSecret", { Name: NAME, SecretString: token });
  return { secrets_manager_arn: textAt(made, "ARN") ?? "" };
}
