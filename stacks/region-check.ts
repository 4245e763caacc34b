import type { DeploymentKeys } from "./deployment-keys";
import { renderPath } from "./document-check";
import type { Problem } from "./problem";
import type { Path, YamlDocument } from "./yaml-document";

/** The region of an ARN; those of IAM and S3 have none. */
const REGION_OF_ARN = /^arn:[^:]+:[^:]+:([a-z0-9-]+):/;

/**
 * What a document names in another region than its own: AWS would refuse it in the middle of an apply (an alarm's topic, a subnet's
 * zone), or no instance could ever use it (a key, a secret, a queue).
 */
export function otherRegions(document: YamlDocument, { aws: { region } }: DeploymentKeys): Problem[] {
  return textsOf(document.value).flatMap(([path, text]) => {
    const named = regionNamed(String(path.findLast((segment) => typeof segment === "string")), text);
    if (named === undefined || named === region) return [];
    return [document.problem(path, `${renderPath(path)}: got "${text}"; should be in ${region}, which is aws.region`)];
  });
}

function regionNamed(key: string, text: string): string | undefined {
  if (/_arns?$/.test(key)) return REGION_OF_ARN.exec(text)?.[1];
  return key === "availability_zones" ? text.slice(0, -1) : undefined;
}

function textsOf(value: unknown, path: Path = []): [Path, string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    textsOf(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}
