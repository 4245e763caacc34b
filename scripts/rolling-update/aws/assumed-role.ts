import { type CredentialSource, renewed } from "./instance-credentials";
import { type SignedCallOptions, signedCalls } from "./signed-calls";
import { field, text } from "./xml";

/**
 * Credentials of another role, taken with one's own; an hour is the longest that a role may lend from a role.
 * @param session tells in CloudTrail who it was: letters, digits and `=,.@_-`, 2 to 64 of them.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 */
export function assumedRole(own: SignedCallOptions, roleArn: string, session: string): CredentialSource {
  const calls = signedCalls(own);
  return renewed(async () => {
    const parameters = { RoleArn: roleArn, RoleSessionName: session, DurationSeconds: 3_600 };
    const lent = field(await calls.query("sts", "AssumeRole", parameters), "Credentials");
    return {
      accessKeyId: text(lent, "AccessKeyId"),
      secretAccessKey: text(lent, "SecretAccessKey"),
      sessionToken: text(lent, "SessionToken"),
      expiresMs: Date.parse(text(lent, "Expiration")),
    };
  });
}
