import type { AwsRequest } from "../correction";
import { type Tree, textAt } from "../tree";

/** What requests have said of the things of one kind that belong to an Auto Scaling group, by name; it goes when the group goes. */
export interface GroupMemory<T> {
  /** The things of the request's group, or of the one that an item of an answer names. */
  readonly of: (request: AwsRequest, item?: Tree) => Map<string, T>;
  readonly forget: (request: AwsRequest) => void;
}

export function groupMemory<T>(): GroupMemory<T> {
  const groups = new Map<string, Map<string, T>>();
  const key = ({ region, parameters }: AwsRequest, item = parameters) =>
    `${region}/${textAt(item, "AutoScalingGroupName")}`;
  return {
    of: (request, item) => {
      const things = groups.get(key(request, item)) ?? new Map<string, T>();
      groups.set(key(request, item), things);
      return things;
    },
    forget: (request) => {
      groups.delete(key(request));
    },
  };
}
