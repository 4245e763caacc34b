import { Token } from "cdktf";
import type { AwsEnvironment } from "../iam/aws-environment";
import type { PolicyStatement } from "../iam/policy-document";
import { WORKER_ACTIONS, type WorkerFeature } from "../worker-access/worker-actions";

/** A bucket that workers read releases from. */
export interface ReleaseBucket {
  readonly name: string;
  /** Region of the bucket. @default - taken to be the fleet's, as it has to be */
  readonly region?: string;
}

/**
 * A gateway endpoint routes to the S3 of its own region: a bucket elsewhere is out of reach, and a worker would hang on it.
 *
 * @throws Error naming the bucket, both regions and the command that mirrors it. Tokens pass.
 * @see https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
 */
export function checkReleaseRegions(buckets: readonly ReleaseBucket[], region: string): void {
  if (Token.isUnresolved(region)) return;
  const far = buckets.find((bucket) => !Token.isUnresolved(bucket.region) && (bucket.region ?? region) !== region);
  if (!far) return;
  throw new Error(
    `release bucket ${far.name} is in ${far.region}, the fleet in ${region}: an S3 gateway endpoint reaches its own region ` +
      `only. Mirror the release (aws s3 sync s3://${far.name}/PREFIX/ s3://BUCKET-IN-${region}/PREFIX/ ` +
      `--source-region ${far.region} --region ${region}) and name that bucket`,
  );
}

/**
 * What the S3 gateway lets through: the release buckets, and the region's Amazon Linux 2023 repositories, which are read
 * without credentials.
 *
 * @see https://docs.aws.amazon.com/linux/al2023/ug/repo-s3-access.html
 */
export function s3Statements(
  features: readonly WorkerFeature[],
  buckets: readonly ReleaseBucket[],
  region: string,
  aws: AwsEnvironment,
): PolicyStatement[] {
  const statements: PolicyStatement[] = [];
  if (features.includes("releases")) {
    statements.push(
      read(
        "ReadReleases",
        "releases",
        buckets.map(({ name }) => aws.objectArn(name, "*")),
      ),
    );
  }
  if (features.includes("os-packages")) {
    const repositories = `al2023-repos-${region}-de612dc2`;
    statements.push(read("ReadAmazonLinuxRepositories", "os-packages", [aws.objectArn(repositories, "*")]));
  }
  return statements;
}

function read(sid: string, feature: "releases" | "os-packages", resources: readonly string[]): PolicyStatement {
  return { sid, principals: "*", actions: WORKER_ACTIONS[feature], resources };
}
