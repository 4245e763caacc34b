import { Token } from "cdktf";

/** @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const MAX_LENGTH = 64;

/**
 * A role's name that IAM takes. Tokens pass.
 *
 * @throws Error naming the name and its length for one beyond 64 characters or with others than letters, digits and +=,.@-_
 */
export function checkedRoleName(name: string): string {
  if (Token.isUnresolved(name)) return name;
  if (name.length > MAX_LENGTH) {
    throw new Error(`role name (${name}) has ${name.length} characters; IAM admits ${MAX_LENGTH}: shorten it`);
  }
  if (!/^[\w+=,.@-]+$/.test(name)) throw new Error(`role name (${name}) may have letters, digits and +=,.@-_ only`);
  return name;
}
