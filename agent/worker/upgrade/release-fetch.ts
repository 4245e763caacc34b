import type { Aws } from "../../host/aws";
import type { Release } from "../config";
import type { FetchRelease } from "./install";

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html */
const S3_HOST = /^(.+)\.s3[.-]([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/;

/**
 * Fetches releases: those in one of the fleet's release buckets with the instance's role, others, and what was signed beforehand, as the
 * URL says.
 */
export function releaseFetch(aws: Pick<Aws, "getObject">, releases: readonly Pick<Release, "bucket">[]): FetchRelease {
  return (url, signal) => {
    const { hostname, pathname, search } = new URL(url);
    const [, bucket, region] = S3_HOST.exec(hostname) ?? [];
    const isOwn = releases.some((release) => release.bucket === bucket);
    if (!bucket || !region || !isOwn || search !== "") return fetch(url, { signal });
    return aws.getObject({ bucket, region, key: decodeURIComponent(pathname.slice(1)) });
  };
}
