import type { AwsRequest, Correction } from "../correction";
import { mapTreesAt, textAt, treesAt } from "../tree";

const DEFAULT_CLASS = "STANDARD";

/**
 * A log group is of the class that it was created in, for good, and can be asked for by it.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
 */
export function logGroupClass(): Correction {
  const classes = new Map<string, string>();
  const key = ({ region }: AwsRequest, name: string | undefined) => `${region}/${name}`;
  return {
    service: "logs",
    answers: {
      CreateLogGroup: (result, request) => {
        const name = textAt(request.parameters, "logGroupName");
        classes.set(key(request, name), textAt(request.parameters, "logGroupClass") ?? DEFAULT_CLASS);
        return result;
      },
      DeleteLogGroup: (result, request) => {
        classes.delete(key(request, textAt(request.parameters, "logGroupName")));
        return result;
      },
      DescribeLogGroups: (result, request) => {
        const wanted = textAt(request.parameters, "logGroupClass");
        const classed = mapTreesAt(result, "logGroups", (group) => ({
          ...group,
          logGroupClass: classes.get(key(request, textAt(group, "logGroupName"))) ?? DEFAULT_CLASS,
        }));
        return wanted === undefined
          ? classed
          : {
              ...classed,
              logGroups: treesAt(classed, "logGroups").filter(({ logGroupClass }) => logGroupClass === wanted),
            };
      },
    },
  };
}
