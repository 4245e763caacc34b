import { AwsError } from "../../aws-error";
import { type Tree, textAt, type Value } from "../../tree";

/**
 * The page of `items` that a request asks for, as the list at `name`, with the token of the next page.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
 *
 * @throws AwsError InvalidNextToken
 */
export function page(name: string, items: readonly Tree[], parameters: Tree, usual: number, most: number): Tree {
  const size = Math.min(Number(textAt(parameters, "MaxRecords") ?? usual), most);
  const start = Number(textAt(parameters, "NextToken") ?? 0);
  if (!Number.isInteger(start) || start < 0) {
    throw new AwsError("InvalidNextToken", "The token provided is not valid.");
  }
  const end = start + size;
  return { [name]: items.slice(start, end), ...(end < items.length ? { NextToken: String(end) } : {}) };
}

/** The texts in a list parameter. */
export function texts(value: Value | undefined): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}
