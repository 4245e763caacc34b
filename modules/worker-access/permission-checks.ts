import { Token } from "cdktf";
import type { PolicyStatement } from "../iam/policy-document";
import type { ReleaseLocation, TokenLocation, WorkerPermissions } from "./worker-policy";

/** Refuses what IAM would take but the reader of a least-privilege policy does not expect. Tokens pass. */
export function checkPermissions(permissions: WorkerPermissions): void {
  const { autoScalingGroupName, logGroupNames = [], queue, token, releases = [] } = permissions;
  exact("autoScalingGroupName", autoScalingGroupName);
  logGroupNames.forEach((name, i) => {
    exact(`logGroupNames[${i}]`, name);
  });
  if (queue) exact("queue.arn", queue.arn);
  if (token) checkToken(token);
  releases.forEach(checkRelease);
  permissions.additionalStatements?.forEach(checkStatement);
}

function exact(field: string, value: string): void {
  if (!Token.isUnresolved(value) && /[*?]/.test(value)) {
    throw new Error(`${field} (${value}) has a wildcard: name the one it is`);
  }
}

/** A secret's ARN ends in six characters that Secrets Manager chose; without them IAM matches nothing. */
function checkToken({ store, arn }: TokenLocation): void {
  exact("token.arn", arn);
  if (Token.isUnresolved(arn)) return;
  const [service, form] =
    store === "secrets-manager"
      ? ["secretsmanager", /^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/]
      : (["ssm", /^arn:[a-z-]+:ssm:[a-z0-9-]+:\d{12}:parameter\/.+$/] as const);
  if (form.test(arn)) return;
  const command =
    store === "secrets-manager"
      ? "aws secretsmanager describe-secret --secret-id NAME --query ARN"
      : "aws ssm get-parameter --name NAME --query Parameter.ARN";
  throw new Error(`token.arn (${arn}) is not the full ARN of a ${service} entry; ${command} prints it`);
}

function checkRelease({ bucketName, prefix }: ReleaseLocation, i: number): void {
  exact(`releases[${i}].bucketName`, bucketName);
  exact(`releases[${i}].prefix`, prefix);
  if (Token.isUnresolved(prefix)) return;
  if (!/^[^/].*\/$/.test(prefix)) {
    throw new Error(
      `releases[${i}].prefix (${prefix}) must be a version's folder with its closing slash: dbmazz/1.8.0/`,
    );
  }
}

function checkStatement({ sid, actions }: PolicyStatement, i: number): void {
  const wide = actions.find((action) => action === "*" || action.endsWith(":*"));
  if (wide !== undefined) {
    throw new Error(`additionalStatements[${i}] (${sid}) allows ${wide}: list the actions that the jobs call`);
  }
}
